#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# What random programs leave behind on our machine and on Bochs alike, kept as digests, so that Bochs is not needed to ask again.
#
#   recorded.pl write OURS BOCHS          prints the digests: PROGRAM, and one for each step before the first difference; "endless"
#                                         for a program that does not end
#   recorded.pl compare RECORDED OURS     steps of which Bochs has said something else; exit status 1 if there are any
use strict;
use warnings;
use Digest::MD5 'md5_hex';

# By program the steps, as they were told.
sub told {
    my ($path) = @_;
    my @told;
    open(my $file, '<', $path) or die "$path: $!\n";
    while (<$file>) {
        push @{$told[$1]}, $2 if /^(\d+)\.\d+ (.*)/;
    }
    return @told;
}

sub digest { return substr(md5_hex($_[0]), 0, 4); }

my ($command, $first, $second) = @ARGV;
defined $second && $command =~ /^(write|compare)$/ or die "recorded.pl: write OURS BOCHS, or compare RECORDED OURS\n";
if ($command eq 'write') {
    my (@ours) = told($first);
    my (@theirs) = told($second);
    for my $program (0 .. $#ours) {
        my @alike;
        next unless $ours[$program];
        if (grep { /endless=1/ } @{$ours[$program]}) { print "$program endless\n"; next; }
        for my $step (0 .. $#{$ours[$program]}) {
            last if $ours[$program][$step] ne ($theirs[$program][$step] // '');
            push @alike, digest($ours[$program][$step]);
        }
        print join(' ', $program, @alike), "\n";
    }
    exit 0;
}

my @told = told($second);
my ($programs, $steps, $differ) = (0, 0, 0);
open(my $recorded, '<', $first) or die "$first: $!\n";
while (<$recorded>) {
    next if /^#/;
    my ($program, @digests) = split;
    next if "@digests" eq 'endless' || !defined $told[$program];
    $programs++;
    for my $step (0 .. $#digests) {
        my $line = $told[$program][$step] // 'nothing';
        $steps++;
        next if digest($line) eq $digests[$step];
        print "Bochs has said something else of $program.$step $line\n" if ++$differ <= 5;
        last;
    }
}
print "$programs programs, $steps steps as on Bochs; $differ programs differ\n";
exit($differ || !$steps ? 1 : 0);
