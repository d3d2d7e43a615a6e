#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# Plants single faults in source text by the rules of rules.list.
#
#   plant.pl sites RULES                    prints every mutant: RULE, FILE, LINE, SITE (how many-th match in FILE), text
#   plant.pl describe RULES                 the same, and the text is FUNCTION: LINE [MATCH => WHAT IT BECOMES], unique in its file; and
#                                         a digest of what FILE becomes
#   plant.pl plant RULES RULE FILE SITE     prints FILE with the fault planted
#   plant.pl what RULES                     prints each rule and what it does
#
# A rule is a paragraph of `key: value` lines; lines that begin with # are comments:
#   rule:   its name
#   what:   what the fault is, in words
#   files:  shell patterns
#   find:   a Perl regular expression over the whole text, ^ and $ at lines; CALL stands for balanced parentheses
#   put:    what the match becomes; $1, $2... are its groups
#   within: only inside text that fits this expression (optional)
#   unless: not where the match itself fits this expression (optional)
#   code:   yes: a match that begins in a string, a preprocessor line that is no #define, or the comment at the end of a table is no site
#   overlap: yes: matches may overlap
# A match that begins in a comment is no site. machine/run.pl takes this file as a library.
package Plant;
use strict;
use warnings;
use Digest::SHA 'sha1_hex';

my $balanced = '(?<call>\((?:[^()]++|(?&call))*\))';

sub fail { print STDERR "plant.pl: @_\n"; exit 2; }

sub read_text {
    my ($path) = @_;
    local $/;
    open(my $file, '<', $path) or fail("$path: $!");
    my $text = <$file>;
    return $text;
}

sub read_rules {
    my ($path) = @_;
    my (@rules, $rule);
    for my $line (split /\n/, read_text($path) . "\n\n") {
        next if $line =~ /^#/;
        if ($line =~ /^(\w+):\s*(.*?)\s*$/) {
            push @rules, $rule = {} unless $rule;
            $rule->{$1} = $2;
        } elsif ($line =~ /^\s*$/) {
            undef $rule;
        } else {
            fail("$path: neither `key: value` nor a comment: $line");
        }
    }
    for my $rule (@rules) {
        defined $rule->{$_} or fail("$path: a rule without `$_`: " . ($rule->{rule} // '?')) for qw(rule what files find);
        $rule->{put} //= '';
        for my $key (qw(find unless)) {
            next unless defined $rule->{$key};
            # The first CALL is the named group, the others refer to it.
            $rule->{$key} =~ s/CALL/$balanced/;
            $rule->{$key} =~ s/CALL/(?&call)/g;
        }
    }
    return @rules;
}

# Where an expression fits: [first, last) by offset.
sub spans {
    my ($text, $expression) = @_;
    my @spans;
    push @spans, [ $-[0], $+[0] ] while $text =~ /$expression/gm;
    return @spans;
}

sub inside {
    my ($offset, @spans) = @_;
    return grep { $offset >= $_->[0] && $offset < $_->[1] } @spans;
}

# Comments; with `$strict` strings, characters and the preprocessor's own lines, too.
my %comments;
sub comments {
    my ($text, $strict) = @_;
    return @{$comments{$strict // ''}{$text} //= [ find_comments($text, $strict) ]};
}

sub find_comments {
    my ($text, $strict) = @_;
    my @spans = spans($text, '/\*[\s\S]*?\*/|//[^\n]*|"(?:[^"\\\\\n]|\\\\.)*"|\'(?:[^\'\\\\\n]|\\\\.)\'');
    return (@spans, spans($text, '^ *#(?!define)[^\n]*|^_Static_assert[^;]*;|^#define \w+_H$|^#define [A-Z_]+\([a-z_, ]*\)$')) if $strict;
    return grep { substr($text, $_->[0], 1) !~ /["']/ } @spans;
}

# Calls $visit->(site number, start, end, replacement) for each site of a rule in a text.
sub each_site {
    my ($rule, $text, $visit) = @_;
    my @comments = comments($text, $rule->{code});
    my @within = spans($text, $rule->{within} // '[\s\S]+');
    my $site = 0;
    while ($text =~ /$rule->{find}/gm) {
        my ($start, $end, $match) = ($-[0], $+[0], $&);
        pos($text) = $start + 1 if $rule->{overlap};
        my @group = map { defined $-[$_] ? substr($text, $-[$_], $+[$_] - $-[$_]) : '' } 0 .. $#-;
        next if inside($start, @comments) || !inside($start, @within);
        next if defined $rule->{unless} && $match =~ /$rule->{unless}/m;
        (my $put = $rule->{put}) =~ s/\$(\d)/$group[$1] \/\/ ''/ge;
        $visit->($site++, $start, $end, $put);
    }
}

sub line_of {
    my ($text, $offset) = @_;
    return 1 + (substr($text, 0, $offset) =~ tr/\n//);
}

# Whose code, or which row of a table, it is.
my %owners;
sub owner_of {
    my ($text, $offset) = @_;
    my ($owners, $name) = ($owners{$text} //= [ find_owners($text) ], '');
    for (@$owners) {
        last if $_->[0] > $offset;
        $name = $_->[1];
    }
    return $name;
}

# [offset, name] of functions, macros, types and rows.
sub find_owners {
    my ($text) = @_;
    my @owners;
    while ($text =~ /^(?:#define (\w+)|(?=\w)(?:[\w* ]*?)\b(\w+)\(("?[\w.]*)|(?=\w)(?:static |const )*(?:enum|struct) ?(\w*)[^;()]*\{$)/gm) {
        my ($offset, $define, $function, $row, $type) = ($-[0], $1, $2, $3, $4);
        my $name = $define // $type // $function;
        $name .= "($row" if !defined $define && defined $function && $function =~ /^[A-Z_]+$/;
        push @owners, [ $offset, $name ];
    }
    return @owners;
}

sub in_context {
    my ($text, $start, $end, $put) = @_;
    my $from = rindex($text, "\n", $start - 1) + 1;
    my $to = index($text, "\n", $end);
    my $line = substr($text, $from, $start - $from) . '[' . substr($text, $start, $end - $start) . " => $put]" . substr($text, $end, $to - $end);
    $line =~ s/\s+/ /g;
    $line =~ s/^ //;
    return owner_of($text, $start) . ": $line";
}

# FILE with a fault planted.
sub planted {
    my ($rule, $file, $wanted) = @_;
    my ($text, $planted) = (read_text($file));
    each_site($rule, $text, sub {
        my ($site, $start, $end, $put) = @_;
        return unless $site == $wanted;
        my $lines = substr($text, $start, $end - $start) =~ tr/\n//;
        $planted = substr($text, 0, $start) . $put . "\n" x ($lines - ($put =~ tr/\n//)) . substr($text, $end);
    });
    defined $planted or fail("rule $rule->{rule} has no site $wanted in $file");
    return $planted;
}

sub main {
    my ($command, $list, @rest) = @_;
    fail('usage: plant.pl sites|describe|what|plant RULES ...') unless defined $list;
    my @rules = read_rules($list);

    if ($command eq 'sites' || $command eq 'describe') {
        my %seen;
        for my $rule (@rules) {
            my $count = 0;
            for my $file (map { sort glob } split ' ', $rule->{files}) {
                my $text = read_text($file);
                each_site($rule, $text, sub {
                    my ($site, $start, $end, $put) = @_;
                    $start++ while $start < $end && substr($text, $start, 1) =~ /\s/;
                    my $show = $command eq 'sites' ? substr($text, $start, $end - $start) : in_context($text, $start, $end, $put);
                    $show =~ s/\s+/ /g;
                    my $times = ++$seen{$rule->{rule}, $file, $show};
                    $show .= " #$times" if $command eq 'describe' && $times > 1;
                    print join("\t", $rule->{rule}, $file, line_of($text, $start), $site, $show,
                               $command eq 'sites' ? () : sha1_hex(substr($text, 0, $start), $put, substr($text, $end))), "\n";
                    $count++;
                });
            }
            fail("rule $rule->{rule} fits nowhere: has the code moved on?") unless $count;
        }
    } elsif ($command eq 'plant' && @rest == 3) {
        my ($name, $file, $wanted) = @rest;
        my ($rule) = grep { $_->{rule} eq $name } @rules or fail("no rule $name");
        print planted($rule, $file, $wanted);
    } elsif ($command eq 'what') {
        print "$_->{rule}\t$_->{what}\n" for @rules;
    } else {
        fail('usage: plant.pl sites RULES | what RULES | plant RULES RULE FILE SITE');
    }
}

main(@ARGV) unless caller;
1;
