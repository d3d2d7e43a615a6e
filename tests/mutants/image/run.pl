#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# Plants faults in the core's back end on the metal, one at a time (rules.list), builds the image, and boots it until a test notices. By make mutants-image.
#
#   run.pl [options]
#
#   --only EXPRESSION  mutants whose line (rule, file, line, site, text) fits this Perl expression
#   --shard I/N        of N equal parts, drawn by a digest of each mutant, the Ith
#   --sample COUNT     COUNT of them, drawn by --seed TEXT
#   --quick            the unit tests, and some of the guests
#   --budget SECONDS   begins no mutant any more when so many seconds of the processor are spent
#   --jobs N           mutants at a time (2)
#   --fresh            judges again what has been judged before
#   --report FILE      the report goes to FILE.txt and FILE.tsv (build/report/mutants-image)
#   --list             prints the mutants and plants nothing
#
# The tests are those of tests/metal/ and tests/backends/ that boot the image on our bare machine, each once; those that noticed most in a file come
# first there. A verdict is kept in build/mutants/image/verdicts.tsv, by a digest of the file with the fault and of the test that gave it, or of all
# tests; what has changed in the core or in the machine since is not looked at: --fresh.
#
# Exit status: 0 if 95 % of those that differ were noticed and equivalent.list is true, 1 if not, 2 for a mistake.
# The environment says how the image is compiled and linked: IMAGE_COMPILE, IMAGE_LINK (make mutants-image sets them).
use strict;
use warnings;
use Digest::SHA qw(sha1_hex);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use List::Util qw(sum0);
use Time::HiRes qw(time);
require './tests/mutants/plant.pl';

my $here = 'tests/mutants/image';
my $base = 'build/mutants/image';
my $guests = 'build/guests';
my $sesqui = 'build/release/sesqui';
my %option = (only => '', shard => '1/1', sample => '', seed => '1', budget => '', jobs => 2, report => 'build/report/mutants-image');
my %flag = (fresh => 0, list => 0, quick => 0);

sub fail { print STDERR "mutants-image: @_\n"; exit 2; }
sub read_file { my ($path) = @_; local $/; open(my $file, '<', $path) or fail("$path: $!"); my $text = <$file>; return $text // ''; }
sub lines { return grep { !/^#|^\s*$/ } split /\n/, -e $_[0] ? read_file($_[0]) : ''; }
sub digest_of { return sha1_hex(map { read_file($_) } @_); }

while (@ARGV) {
    my $word = shift;
    my ($name) = $word =~ /^--(\w+)$/;
    if (defined $name && exists $flag{$name}) { $flag{$name} = 1; }
    elsif (defined $name && exists $option{$name}) { @ARGV or fail("$word needs a value (--help)"); $option{$name} = shift; }
    elsif ($word eq '--help' || $word eq '-h') { print map { s/^# ?//r . "\n" } (split /\n/, read_file($0))[2 .. 21]; exit 0; }
    else { fail("unknown option \"$word\" (--help)"); }
}
my ($shard, $shards) = $option{shard} =~ m{^(\d+)/(\d+)$} or fail("--shard $option{shard}: I/N is wanted");
$shard >= 1 && $shard <= $shards or fail("--shard $option{shard}: there is no such part");
$option{$_} =~ /^\d*$/ or fail("--$_ $option{$_}: a number is wanted") for qw(sample jobs budget);

# ---- the mutants ----

my %rule = map { $_->{rule} => $_ } Plant::read_rules("$here/rules.list");
my (@all, @chosen);
for (split /\n/, `perl tests/mutants/plant.pl describe $here/rules.list`) {
    my ($rule, $file, $line, $site, $text, $digest) = split /\t/;
    push @all, { rule => $rule, file => $file, line => $line, site => $site, text => $text, digest => sha1_hex("$file $digest") };
}
@all or fail('no mutants');
@chosen = grep { hex(substr($_->{digest}, 0, 7)) % $shards == $shard - 1 } @all;
@chosen = grep { join("\t", @$_{qw(rule file line site text)}) =~ /$option{only}/ } @chosen if $option{only} ne '';
if ($option{sample} ne '') {
    my %draw = map { $_->{digest} => sha1_hex("$option{seed} $_->{digest}") } @chosen;
    @chosen = (sort { $draw{$a->{digest}} cmp $draw{$b->{digest}} } @chosen)[0 .. ($option{sample} < @chosen ? $option{sample} : @chosen) - 1];
}
@chosen or fail("no mutant fits \"$option{only}\"");
if ($flag{list}) { print join("\t", @$_{qw(rule file line site text)}), "\n" for @chosen; exit 0; }

# ---- the tests: an image, the options of `sesqui boot`, and what is expected ----

my %said;       # what is to be compared with: by name of a run without the image

sub l1 { return join('', map { "$_\n" } grep { !/^sesqui: / } split /\n/, $_[0]); }
sub same { my ($name) = @_; return sub { my ($status, $console) = @_; return $status == 0 && l1($console) eq $said{$name}; } }
sub refused { my ($text) = @_; return sub { my ($status, $console) = @_; return $status == 121 && $console =~ /^[^\n]*\Q$text\E[^\n]*\n\z/; } }
sub refuses_surplus { return all_as_expected(@_) && $_[1] =~ /^sesqui: load refused: more processors than the image is built for/m; }
sub all_as_expected { my ($status, $console) = @_; return $status == 0 && l1($console) =~ /^storm: all as expected$/m && l1($console) =~ tr/\n// == 2; }

my @tests;
sub test { my ($name, $expected, @options) = @_; push @tests, { name => $name, good => $expected, options => \@options }; }
# The same on the bare machine or over the native core: run once, before all mutants.
my %plain = (turnstile => ["$guests/turnstile.elf"], slide => ["$guests/slide.elf", '--hv=flip', '--late'],
             'slide two' => ["$guests/slide.elf", '--append', 'two', '--cpus', 2, '--hv=flip', '--late'],
             fields => ["$guests/turnstile.elf", '--hv=flip', '--full-trace', '--trace', 'WORK/native'],
             threads => ["$guests/turnstile.elf", '--cpus', 2]);
my @strategies = qw(flip trap copy);
my $turnstile = "$guests/turnstile.elf";
test('turnstile', same('turnstile'), 'IMAGE', '--append', 'hv=flip', '--module', $turnstile);
my $round = 0;
for (lines('tests/backends/list.tsv')) {
    my ($words, $case, $how, $cpus, $which) = split /\t/;
    $words = $words eq '-' ? $case : "$words $case";
    my $strategy = $strategies[$round++ % 3];
    test("storm $words", $case eq 'surplus' ? \&refuses_surplus : \&all_as_expected, $which eq 'two' ? 'IMAGE2' : 'IMAGE', '--append', ($how eq 'late' ? 'late ' : '') . "hv=$strategy",
         '--module', "$guests/storm.elf $words", '--cpus', $cpus, '--seed', 1);
}
test('slide', same('slide'), 'IMAGE', '--append', 'late hv=flip', '--module', "$guests/slide.elf");
test('slide two', same('slide two'), 'IMAGE', '--cpus', 2, '--append', 'late hv=copy', '--module', "$guests/slide.elf two");
test("lodger $_", sub { return $_[0] == 0 && $_[1] eq "lodger: all as expected\n"; }, "$guests/lodger.elf", '--cpus', 2, '--append', "hv=$strategies[$_]",
     '--module', 'IMAGE', '--seed', $_ + 1) for 0 .. 2;
test('lodger falls back', sub { return $_[0] == 0 && $_[1] eq "lodger: all as expected\n"; }, "$guests/lodger.elf", '--cpus', 2, '--append', 'hv=flip',
     '--module', 'IMAGE', '--vmx', '-vmcs-shadowing');
for (lines('tests/metal/refusals.tsv')) {
    my ($text, $which, @options) = split /\t/;
    test("refused: $text", refused($text), $which eq 'two' ? 'IMAGE2' : 'IMAGE', @options);
}
for (lines('tests/metal/starts.tsv')) {
    my ($name, $which, $messages, @options) = split /\t/;
    test($name, sub { return same('turnstile')->(@_) && ($messages eq '-' || $_[1] =~ /\Q$messages\E/); }, $which eq 'two' ? 'IMAGE2' : $which eq 'usual' ? 'IMAGE' : $which,
         map { s/\bIMAGE\b/IMAGE/r } @options);
}
test('exits and fields', sub { return same('turnstile')->(@_) && system('tests/metal/compare.sh --fields WORK/native WORK/metal >/dev/null' =~ s/WORK/$_[2]/gr) == 0; },
     'IMAGE', '--append', 'hv=flip trace=fields log=com2', '--module', $turnstile, '--serial2', 'WORK/metal');
# What is executed before L1 runs has unit tests, and is not booted with every guest.
my %units = ('elf.c' => ['guest'], 'guest.c' => ['guest'], 'multiboot.c' => ['boot'], 'option.c' => ['boot'], 'memory.c' => ['boot'], 'text.c' => ['boot'],
             'pool.c' => ['boot', 'system'], 'system.c' => ['system'], 'log.c' => ['log'], 'apic.c' => ['apic'], 'arrival.c' => ['arrival'], 'fault.c' => ['fault'], 'paging.c' => ['paging']);
my $before_l1 = qr/^turnstile|^slide|^lodger 0|^refused|^exits|start|falls|processors/;
# Of the rest each only where the file is executed.
my %executed_by = ('system.c' => qr/^lodger/, map { $_ => $before_l1 } qw(elf.c guest.c multiboot.c option.c text.c log.c));
@tests = grep { $_->{name} =~ /^turnstile|^storm (?:state|xsetbv|debug|watchdog|handler|local|crowd|halfway)$|^lodger 0|^slide two|^refused: no module/ } @tests if $flag{quick};
my $tests_digest = sha1_hex($flag{quick} ? 'quick' : '', digest_of($0, glob("$guests/*.elf"), glob('tests/hv/image*'), 'tests/backends/list.tsv', 'tests/metal/refusals.tsv', 'tests/metal/starts.tsv'));
$_->{digest} = sha1_hex(@{$_->{options}}, map { my ($f) = split / /; -f $f ? read_file($f) : '' } @{$_->{options}}) for @tests;

# Boots; (exit status, or 999 for no end; what L1 and L0 said on the console).
sub boot {
    my ($folder, $seconds, @options) = @_;
    my $child = fork // fail("fork: $!");
    if (!$child) {
        open(STDIN, '<', '/dev/null');
        open(STDOUT, '>', "$folder/console");
        open(STDERR, '>', "$folder/messages");
        my $image = shift @options;
        exec('/bin/sh', '-c', "ulimit -t $seconds; ulimit -v 16000000; ulimit -c 0; ulimit -f 400000; exec \"\$@\"", 'sh', 'timeout', 20 * $seconds, $sesqui,
             'boot', $image, $image =~ /lodger/ ? () : '--strict', '--limit', 400000000, @options) or exit 127;
    }
    waitpid($child, 0);
    my ($signal, $status) = ($? & 127, $? >> 8);
    exit 3 if $signal == 2 || $signal == 15;
    return (($signal || $status == 124 || $status > 128) ? 999 : $status, read_file("$folder/console"));
}

sub run_test {
    my ($test, $folder, $image, $image2, $work) = @_;
    my @options = map { s/\bIMAGE2\b/$image2/r =~ s/\bIMAGE\b/$image/r =~ s/\bWORK\b/$folder/r } @{$test->{options}};
    symlink("$work/native", "$folder/native");
    my ($status, $console) = boot($folder, 2 + int(8 * ($test->{seconds} // 5)), @options);
    return 'no end' if $status == 999;
    return $test->{good}->($status, $console, $folder) ? '' : 'says otherwise, or ends otherwise';
}

# ---- one mutant ----

$ENV{CCACHE_DISABLE} = 1;
my $work = tempdir('mutants-XXXXXX', DIR => -w '/dev/shm' ? '/dev/shm' : $base, CLEANUP => 0);
my $owner = $$;
END { my $status = $?; remove_tree($work) if $work && $$ == ($owner // 0); $? = $status; }
my %noticed;

# The image with one file replaced. False: it does not compile. `$differs` says whether the compiler made something else of it.
sub build {
    my ($folder, $file, $which, $differs) = @_;
    my $from = "build/mutants/$which";
    my $object = "$folder/$which.o";
    my @defines = $which eq 'image-2' ? '-DPROCESSORS=2' : ();
    system("$ENV{IMAGE_COMPILE} @defines -iquote $folder -iquote . -c -o $object $folder/$file 2>$folder/log") == 0 or return 0;
    $$differs = read_file($object) ne read_file("$from/" . ($file =~ s/c$/o/r));
    my $objects = join ' ', map { $_ eq $file ? $object : "$from/" . s/\.[cS]$/.o/r } split ' ', $ENV{IMAGE_SOURCES};
    !$$differs || system("$ENV{IMAGE_LINK} -T $from/image.ld -o $folder/$which.elf $objects 2>$folder/log") == 0 or return 0;
    return 1;
}

sub one {
    my ($mutant, $folder) = @_;
    my $file = $mutant->{file};
    my ($differs, $two);
    remove_tree($folder);
    make_path("$folder/" . ($file =~ s{/[^/]*$}{}r));
    open(my $planted, '>', "$folder/$file") or fail("$folder/$file: $!");
    print $planted Plant::planted($rule{$mutant->{rule}}, $file, $mutant->{site});
    close $planted;
    build($folder, $file, 'image', \$differs) or return ('stillborn', '');
    return ('equivalent', 'the compiler makes the same code of it') unless $differs;
    for my $unit (@{$units{$file =~ s{.*/}{}r} // []}) {
        system("$ENV{UNIT_COMPILE} -iquote $folder -I. -o $folder/unit tests/hv/image_${unit}_test.c $ENV{UNIT_LIBS} 2>$folder/log") == 0 or return ('stillborn', '');
        system("ulimit -c 0; CK_FORK=no timeout 10 $folder/unit >$folder/log 2>&1 </dev/null") == 0 or return ('killed', "image_${unit}_test");
    }
    my %at = map { $tests[$_]{name} => $_ } 0 .. $#tests;
    for my $test (sort { ($noticed{$file}{$b->{name}} // 0) <=> ($noticed{$file}{$a->{name}} // 0) || $at{$a->{name}} <=> $at{$b->{name}} } @tests) {
        next if $executed_by{$file =~ s{.*/}{}r} && $test->{name} !~ $executed_by{$file =~ s{.*/}{}r};
        my $needs_two = grep { $_ eq 'IMAGE2' } @{$test->{options}};
        build($folder, $file, 'image-2', \$two) or return ('stillborn', '') if $needs_two && !-e "$folder/image-2.elf";
        my $how = run_test($test, $folder, "$folder/image.elf", "$folder/image-2.elf", $work) or next;
        $noticed{$file}{$test->{name}}++;
        return ('killed', "$test->{name}: $how");
    }
    return ('survived', '');
}

# ---- what is known already, and the rest ----

my $cache = "$base/verdicts.tsv";
my (%known, %test_digest);
$test_digest{$_->{name}} = $_->{digest} for @tests;
$test_digest{"image_${_}_test"} = digest_of("tests/hv/image_${_}_test.c") for map { @$_ } values %units;
for (lines($cache)) {
    my ($digest, $verdict, $by, $given) = split /\t/, $_, -1;
    $known{$digest} = { verdict => $verdict, by => $by, given => $given };
}
sub test_of { my ($by) = @_; return $by =~ s/: (?:no end|says otherwise.*)$//r; }
sub valid {
    my ($known) = @_;
    return 0 unless $known;
    return 1 if $known->{verdict} =~ /stillborn|equivalent/;
    return $known->{given} eq ($known->{verdict} eq 'killed' ? $test_digest{test_of($known->{by})} // '' : $tests_digest);
}
for (@chosen) { my $known = $known{$_->{digest}}; $noticed{$_->{file}}{test_of($known->{by})}++ if $known && $known->{verdict} eq 'killed'; }
my @todo = grep { $flag{fresh} || !valid($known{$_->{digest}}) } @chosen;
@todo = sort { sha1_hex($a->{digest}) cmp sha1_hex($b->{digest}) } @todo;

my $start = time;
if (@todo) {
    mkdir "$work/0";
    for my $name (sort keys %plain) {
        my ($status, $console) = boot("$work/0", 60, map { s/\bWORK\b/$work/r } @{$plain{$name}});
        $status == 0 or fail("$name fails without the image");
        $said{$name} = l1($console);
    }
    for my $test (@tests) {
        next if $option{sample} ne '' && $option{sample} < 100;     # not worth it: the limits of time are the usual ones
        my $before = sum0((times)[2, 3]);
        my $how = run_test($test, "$work/0", "$base/sesqui.elf", 'build/mutants/image-2/sesqui.elf', $work);
        $test->{seconds} = sum0((times)[2, 3]) - $before;
        fail("\"$test->{name}\" fails without a fault: $how") if $how;
    }
    pipe(my $from, my $to) or fail("pipe: $!");
    my %worker;
    $SIG{INT} = $SIG{TERM} = sub { kill 'TERM', keys %worker; exit 130; };
    for my $job (0 .. $option{jobs} - 1) {
        my $child = fork // fail("fork: $!");
        if ($child) { $worker{$child} = 1; next; }
        $SIG{INT} = $SIG{TERM} = 'DEFAULT';
        for (my $i = $job; $i < @todo; $i += $option{jobs}) {
            last if $option{budget} ne '' && sum0(times) * $option{jobs} > $option{budget};
            my @verdict = one($todo[$i], "$work/" . ($job + 1));
            syswrite($to, join("\t", $i, @verdict) . "\n");
        }
        exit 0;
    }
    close $to;
    open(my $keep, '>>', $cache) or fail("$cache: $!");
    my ($done, $told) = (0, 0);
    while (<$from>) {
        chomp;
        my ($i, $verdict, $by) = split /\t/, $_, -1;
        my $given = $verdict eq 'killed' ? $test_digest{test_of($by)} // '' : $tests_digest;
        $known{$todo[$i]{digest}} = { verdict => $verdict, by => $by, given => $given };
        syswrite($keep, join("\t", $todo[$i]{digest}, $verdict, $by, $given) . "\n");
        $done++;
        next if time - $told < 2 && $done < @todo || !-t STDERR;
        $told = time;
        printf STDERR "\rmutants-image: %d of %d, %d s ", $done, scalar @todo, time - $start;
    }
    print STDERR "\n" if -t STDERR;
    for (keys %worker) { waitpid($_, 0); ($? >> 8 || $? & 127) && fail('a mutant could not be judged'); }
}

# ---- the report: that of the core's mutants ----

make_path($option{report} =~ s{/[^/]*$}{}r);
my @judged = grep { valid($known{$_->{digest}}) } @chosen;
open(my $verdicts, '>', "$option{report}.all") or fail("$option{report}.all: $!");
print $verdicts join("\t", @$_{qw(rule file line text)}, $known{$_->{digest}}{verdict}, $known{$_->{digest}}{by}), "\n" for @judged;
close $verdicts;
printf "%d of %d are not judged yet\n", @chosen - @judged, scalar @chosen if @judged < @chosen;
my $text = `perl tests/mutants/report.pl $here/rules.list $here/equivalent.list $option{report}.all @{[ scalar @judged ]} @{[ scalar @all ]} @{[ int(time - $start) ]} $option{report}.tsv`;
my $status = $? >> 8;
unlink "$option{report}.all";
open(my $report, '>', "$option{report}.txt") or fail("$option{report}.txt: $!");
print $report $text;
close $report;
print $text;
exit($status);
