#!/usr/bin/env perl
# SPDX-License-Identifier: MIT
# The citations of the SDM and of VT-d in the sources against the lists of their sections in docs/sdm.md and docs/iommu.md, both ways:
# sections.pl [ROOT]
#
# One line for each fault, none if there is none; the exit status is 0 all the same. A list is the tables of the page whose
# first column is "section": number, title, what implements it, what tests it. References there, in backquotes, are
#
#   FILE           a file of the sources; a table (*.def) must cite the section in one of its rows
#   FILE:NAME      a function of it; of a Check program, a test
#
# FILE is the end of a path, as much of it as makes it unique. A citation is a number of a section in a comment or a string, or
# "ch. N": of Volume 3, unless "Vol. N" stands before it, and of VT-d in the files of the remapping unit. What else has such numbers is known by the words before them (%foreign).
use strict;
use warnings;

my $root = $ARGV[0] // '.';
chdir $root or die "sections.pl: $root: $!\n";

my @folders = qw(model emu hv arch cli tests scenarios);
# Measurements and texts of others, which have numbers of other things; the faults that the test of this script plants.
my $left_out = qr{^tests/(conformance/bochs-|cli/dumps/|docs/)|\.(trace|bin|png)$};
# Specifications and programs that have numbers like a section's.
my $foreign = qr{\b(?:Multiboot2?|multiboot|[Ss]pecification|Unicorn|Bochs|Linux|QEMU|Xen|RFC|SVG|version|gcc|clang|Debian|IEEE|virtio|VirtIO|ABI|ACPI|PCI|HPET|ICH9|82093AA)\b};
my $number = qr{(?<![\w.\-/+])(?:\d{1,2}|[ABC])\.\d{1,2}(?:\.\d{1,2}){0,3}(?![\w%]|\.\w)};

my @files = grep { !/$left_out/ } sort split /\n/, `find @folders -type f`;
my (%text, %ends);
for my $file (@files) {
    open my $in, '<', $file or die "$file: $!\n";
    local $/;
    $text{$file} = <$in>;
    my $end = '';
    for my $part (reverse split m{/}, $file) {
        $end = $end eq '' ? $part : "$part/$end";
        push @{$ends{$end}}, $file;
    }
}

sub fault { print "@_\n" }

# ---- the list ----

my (%listed, @order);
# The pages with a list, and what stands before a section's number in what follows.
for my $list (['docs/sdm.md', ''], ['docs/iommu.md', 'VT-d, ']) {
    my ($page, $prefix) = @$list;
    open my $in, '<', $page or die "$page: $!\n";
    my $in_list = 0;
    while (my $line = <$in>) {
        chomp $line;
        $in_list = 1, next if $line =~ /^\| section \|/;
        $in_list = 0 if $line !~ /^\|/;
        $listed{"ch. $1"} = 1 if $line =~ /^### Chapter (\d+):/;
        next if !$in_list || $line =~ /^\|[-| ]+\|$/;
        my @cell = map { s/^\s+|\s+$//gr } split /\|/, $line;
        my (undef, $section, $title, $code, $tests) = @cell;
        fault("$page:$.: a row of the list has four columns") , next if @cell != 5 && @cell != 4;
        $tests //= '';
        $section = "$prefix$section";
        fault("$page:$.: $section stands there twice") if $listed{$section};
        fault("$page:$.: $section has no title") if $title eq '';
        $listed{$section} = 1;
        push @order, $section;
        if ($code =~ /^(left out|nothing to do): \S/) {
            fault("$page:$.: $section is left out and has tests") if $tests ne '';
            next;
        }
        check_references($section, 'code', $code, "$page:$.");
        check_references($section, 'tests', $tests, "$page:$.");
    }
}
fault('docs/sdm.md, docs/iommu.md: there is no list of sections') if !@order;

sub check_references
{
    my ($section, $column, $cell, $where) = @_;
    my @references = $cell =~ /`([^`]+)`/g;

    fault("$where: $section names nothing in its column of the $column") if !@references;
    for my $reference (@references) {
        my ($end, $name) = split /:/, $reference, 2;
        my @found = @{$ends{$end} // []};
        fault("$where: $section: there is no file $end"), next if !@found;
        fault("$where: $section: $end may be any of @found"), next if @found > 1;
        my $file = $found[0];
        my $is_test = $file =~ m{^(tests|scenarios|examples)/};
        fault("$where: $section: $file is no test") if $column eq 'tests' && !$is_test;
        if (defined $name) {
            my $defined = $file =~ /_test\.c$/ ? qr/^START_TEST\(\Q$name\E\)|^\w.*\b\Q$name\E\(/m : qr/^\w[^;\n]*\b\Q$name\E\([^;]*?\)\s*\n?\{/ms;
            fault("$where: $section: $file has no $name") if $text{$file} !~ $defined;
        } elsif ($file =~ /\.def$/ && !cites($file, $section)) {
            fault("$where: $section: no row of $file cites it");
        }
    }
}

# ---- the citations ----

my %cited;
sub cites
{
    my ($file, $section) = @_;
    $cited{$file} //= { map { $_->[0] => 1 } citations($file) };
    # A table of one section cites it once, in its heading; its parts stand for the whole.
    return grep { $_ eq $section || index("$_.", "$section.") == 0 } keys %{$cited{$file}};
}

# The text of comments and strings, with the line that each begins at.
sub passages
{
    my ($file) = @_;
    my $text = $text{$file};
    my @passages;

    if ($file =~ /\.(c|h|def|S|ld)$/) {
        my ($line, $at) = (1, 0);
        while ($text =~ m{/\*(.*?)\*/|"((?:[^"\\\n]|\\.)*)"}gs) {
            $line += substr($text, $at, $-[0] - $at) =~ tr/\n//;
            $at = $-[0];
            push @passages, [ $1 // $2, $line, defined $1 ];
        }
    } elsif ($file =~ /\.(scn|sh|awk|mk|pl|list|opts)$/) {     # blocks of comments; numbers in brackets
        my ($block, $begin, $line) = ('', 0, 0);
        for (split(/\n/, $text), '') {
            $line++;
            if (/^\s*#(.*)/) {
                $begin = $line if $block eq '';
                $block .= "$1\n";
            } else {
                push @passages, [ $block, $begin, 1 ] if $block ne '';
                $block = '';
                push @passages, [ $1, $line, 0 ] while /(\[[^\]]*\])/g;
            }
        }
    } elsif ($file =~ /\.tsv$/) {
        my $line = 0;
        push @passages, [ $_, ++$line, 1 ] for split /\n/, $text;
    }
    return @passages;
}

# [section, line] for each citation of a file
sub citations
{
    my ($file) = @_;
    my @citations;
    my $own = $file =~ m{(?:^|/)(?:iommu|vtd)} ? 'VT-d' : 3;
    my $script = $file !~ /\.(c|h|def|S|ld|tsv)$/;       # these cite nothing unless they say whom

    for my $passage (passages($file)) {
        my ($text, $line, $comment) = @$passage;
        my $volume = $own;

        # A string is a citation from its beginning, or holds some in brackets.
        next if !$comment && $text !~ /^\s*(?:$number|ch\. \d|Vol\. [1-4],)/ && $text !~ /\[(?:Vol\. [1-4], )?$number/;
        next if $comment && $script && $text !~ /\bSDM\b|\bVol\. [1-4]\b/;
        next if $text !~ /\d\.\d|[ABC]\.\d|\bch(?:apter|\.) \d/;
        while ($text =~ m{(Vol\. ([1-4]))|(\bSDM\b)|(\bVT-d\b)|($foreign)|(?:\bchapter |\bch\. )(\d{1,2}\b)|($number)}g) {
            if (defined $2) { $volume = $2; next }
            if (defined $3) { $volume = 3; next }
            if (defined $4) { $volume = 'VT-d'; next }
            if (defined $5) { $volume = 0; next }
            my $section = defined $6 ? "ch. $6" : $7;
            next if !$volume || (!defined $6 && $section =~ /^[01]\./);
            my $before = substr($text, 0, $-[0]);
            push @citations, [ $volume eq '3' ? $section : $volume eq 'VT-d' ? "VT-d, $section" : "Vol. $volume, $section", $line + ($before =~ tr/\n//) ];
        }
    }
    return @citations;
}

my $count = 0;
for my $file (@files) {
    for my $citation (citations($file)) {
        my ($section, $line) = @$citation;
        $count++;
        fault("$file:$line: $section is not in the list of " . ($section =~ /^VT-d/ ? 'docs/iommu.md' : 'docs/sdm.md')) if !$listed{$section};
    }
}
fault("only $count citations were found: the sources are not read right") if $count < 1000;
