#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# The report on a run of mutants.   report.pl RULES EQUIVALENT VERDICTS CHOSEN ALL SECONDS TABLE
#
# EQUIVALENT: lines RULE, FILE, TEXT, REASON, separated by tabs: mutants that no test can tell from the core, and why.
use strict;
use warnings;

my ($rules, $equivalent, $verdicts, $chosen, $all, $seconds, $table) = @ARGV;
my (%reason, %seen, %by_rule, %by_killer, %count, @survivors, @wrong, @order, %what);

sub lines { open(my $file, '<', $_[0]) or die "$_[0]: $!"; return map { chomp; $_ } <$file>; }

for (lines($rules)) {
    push @order, $1 if /^rule:\s*(\S+)/;
    $what{$order[-1]} = $1 if /^what:\s*(.*)/;
}
for (grep { !/^#|^\s*$/ } lines($equivalent)) {
    my ($rule, $file, $text, $reason) = split /\t/;
    die "$equivalent: a line needs RULE, FILE, TEXT, REASON: $_\n" unless $reason;
    $reason{"$rule\t$file\t$text"} = $reason;
}
open(my $tsv, '>', $table) or die "$table: $!";
print $tsv join("\t", qw(rule file line text verdict by)), "\n";
for (lines($verdicts)) {
    my ($rule, $file, $line, $text, $verdict, $by) = split /\t/, $_, -1;
    my $key = "$rule\t$file\t$text";
    $seen{$key} = 1;
    ($verdict, $by) = ('equivalent', $reason{$key}) if $verdict eq 'survived' && $reason{$key};
    push @wrong, "$file:$line: listed as equivalent, but $by noticed it: $text" if $verdict eq 'killed' && $reason{$key};
    push @survivors, [ $rule, $file, $line, $text ] if $verdict eq 'survived';
    push @wrong, "$file:$line: does not compile with rule $rule: $text" if $verdict eq 'stillborn';
    print $tsv join("\t", $rule, $file, $line, $text, $verdict, $by), "\n";
    $count{$verdict}++;
    $by_rule{$rule}{$verdict}++;
    (my $killer = $by) =~ s/: .*//;
    $killer = 'a rule (R1-R10)' if $verdict eq 'killed' && $by =~ /\brule\b/;
    $killer = 'L0 stops itself by name' if $verdict eq 'killed' && $by =~ /L0 (?:stopped|failed)/;
    $by_killer{$killer}++ if $verdict eq 'killed';
}
close $tsv;
push @wrong, map { s/\t/: /gr . ": in equivalent.list, but there is no such mutant" } grep { !$seen{$_} } sort keys %reason
    if $chosen == $all;

my $killed = $count{killed} // 0;
my $same = $count{equivalent} // 0;
my $alive = @survivors;
my $made = $killed + $same + $alive;
printf "%d mutants of %d, %d s\n\n%-18s %6s %6s %10s %9s\n", $made, $all, $seconds, 'rule', 'made', 'killed', 'equivalent', 'survived';
for my $rule (grep { $by_rule{$_} } @order) {
    my $r = $by_rule{$rule};
    my ($k, $e, $s) = map { $r->{$_} // 0 } qw(killed equivalent survived);
    printf "%-18s %6d %6d %10d %9d   %s\n", $rule, $k + $e + $s, $k, $e, $s, $what{$rule};
}
print "\nnoticed first by\n";
printf "  %-40s %5d\n", $_, $by_killer{$_} for sort { $by_killer{$b} <=> $by_killer{$a} || $a cmp $b } keys %by_killer;
print "\nsurvivors\n" if @survivors;
printf "  %s:%d: %s: %s\n", @$_[1, 2, 0, 3] for @survivors;
print "\nwrong\n", map { "  $_\n" } @wrong if @wrong;
my $share = $made - $same ? 100 * $killed / ($made - $same) : 0;
printf "\n%d mutants: %d killed, %d equivalent, %d survived: %.1f %% of all killed, %.1f %% of those that differ\n",
    $made, $killed, $same, $alive, $made ? 100 * $killed / $made : 0, $share;
exit(@wrong || $share < 95 ? 1 : 0);
