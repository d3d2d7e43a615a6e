#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# Plants faults in the machine, one at a time (rules.list), and runs the tests of the machine until one of them notices. By make mutants-machine.
#
#   run.pl [options]
#
#   --room ROOM        model, arch, unicorn or device; several with commas (all four)
#   --only EXPRESSION  mutants whose line (rule, file, line, site, text) fits this Perl expression
#   --shard I/N        of N equal parts, drawn by a digest of each mutant, the Ith
#   --known            those of survivors.list alone: what is noticed by now can leave it
#   --sample COUNT     COUNT of them: the first ones in the order in which all are judged, or those that --seed TEXT draws
#   --quick            the unit tests and the scenarios alone
#   --tests EXPRESSION what nothing has noticed yet, again, with the tests whose names fit; nothing but what they notice is kept
#   --jobs N           mutants at a time (1)
#   --fresh            judges again what has been judged before
#   --cached           judges nothing: reports what is known
#   --report FILE      the report goes to FILE.txt, FILE.tsv and, while it is made, FILE.progress (build/report/mutants-machine)
#   --list             prints the mutants and plants nothing
#
# A verdict is kept in build/mutants/machine/verdicts.tsv, by a digest of the file with the fault. One by an assertion holds as long as the
# test that gave it stays as it is, any other as long as all tests do. What else has changed in the machine since is not looked at: --fresh.
#
# Exit status: 0 if enough were noticed (95 % of those in model/ and arch/ that differ, 90 % of the others) and equivalent.list is true;
# 1 if not, 2 for a mistake, 130 for an interruption, after which the next run goes on where this one stopped.
# The environment says how the machine is compiled: MACHINE_COMPILE, MACHINE_LIBGCC (make mutants-machine sets them).
use strict;
use warnings;
use Digest::SHA qw(sha1_hex);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use List::Util qw(sum0 max);
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(time);
require './tests/mutants/plant.pl';

my $here = 'tests/mutants/machine';
my $base = 'build/mutants/machine';
my %option = (room => 'model,arch,unicorn,device', only => '', shard => '1/1', sample => '', seed => '', tests => '', jobs => 1,
              report => 'build/report/mutants-machine');
my %flag = map { $_ => 0 } qw(quick fresh cached list known);
my %room_of = ('model' => 'model', 'arch' => 'arch', 'emu/unicorn' => 'unicorn', 'emu/device' => 'device');

sub fail { print STDERR "mutants-machine: @_\n"; exit 2; }
sub read_file { my ($path) = @_; local $/; open(my $file, '<', $path) or fail("$path: $!"); my $text = <$file>; return $text // ''; }
sub lines { return grep { !/^#|^\s*$/ } split /\n/, -e $_[0] ? read_file($_[0]) : ''; }

while (@ARGV) {
    my $word = shift;
    my ($name) = $word =~ /^--(\w+)$/;
    if (defined $name && exists $flag{$name}) { $flag{$name} = 1; }
    elsif (defined $name && exists $option{$name}) { @ARGV or fail("$word needs a value (--help)"); $option{$name} = shift; }
    elsif ($word eq '--help' || $word eq '-h') { print map { s/^# ?//r . "\n" } (split /\n/, read_file($0))[2 .. 23]; exit 0; }
    else { fail("unknown option \"$word\" (--help)"); }
}
my ($shard, $shards) = $option{shard} =~ m{^(\d+)/(\d+)$} or fail("--shard $option{shard}: I/N is wanted");
$shard >= 1 && $shard <= $shards or fail("--shard $option{shard}: there is no such part");
$option{$_} =~ /^\d*$/ or fail("--$_ $option{$_}: a number is wanted") for qw(sample jobs);
my %rooms = map { $_ => 1 } split /,/, $option{room};
my %known_room = reverse %room_of;
$known_room{$_} or fail("--room $_: model, arch, unicorn and device are known") for keys %rooms;

# ---- the mutants ----

my %rule = map { $_->{rule} => $_ } Plant::read_rules("$here/rules.list");
my (@all, @chosen);
for (split /\n/, `perl tests/mutants/plant.pl describe $here/rules.list`) {
    my ($rule, $file, $line, $site, $text, $digest) = split /\t/;
    my ($room) = grep { index($file, "$_/") == 0 } keys %room_of;
    push @all, { rule => $rule, file => $file, line => $line, site => $site, text => $text, room => $room_of{$room},
                 key => "$rule\t$file\t$text", digest => sha1_hex("$file $digest") };
}
@all or fail('no mutants');
@all = grep { $rooms{$_->{room}} } @all;
@chosen = grep { hex(substr($_->{digest}, 0, 7)) % $shards == $shard - 1 } @all;
@chosen = grep { join("\t", @$_{qw(rule file line site text)}) =~ /$option{only}/ } @chosen if $option{only} ne '';
if ($flag{known}) {
    my %known = map { $_ => 1 } lines("$here/survivors.list");
    @chosen = grep { $known{$_->{key}} } @chosen;
}
if ($option{sample} ne '') {
    my %draw = map { $_->{digest} => sha1_hex($option{seed} eq '' ? $_->{digest} : "$option{seed} $_->{digest}") } @chosen;
    @chosen = (sort { $draw{$a->{digest}} cmp $draw{$b->{digest}} } @chosen)[0 .. ($option{sample} < @chosen ? $option{sample} : @chosen) - 1];
}
@chosen or fail('no mutant fits');
if ($flag{list}) {
    print join("\t", @$_{qw(rule file line site text)}), "\n" for @chosen;
    exit 0;
}

# ---- the tests: those of the mutant's room first ----

sub digest_of { return sha1_hex(map { read_file($_) } sort map { glob } @_); }

# { name, kind, command, digest, units (of a program of several tests), only (files), transcript (compared with that of no fault) }
my (@tests, %digest);
for my $room ('model', 'emu') {
    my @units = map { /UNIT_TEST\((\w+)\)/ ? $1 : () } lines("$base/$room/tests.def");
    $digest{$_} = digest_of("tests/$room/$_.c", "tests/$room/*.h") for @units;
    push @tests, { name => "tests/$room", kind => 'assertion', room => $room, units => \@units, command => [ "$base/${room}_tests" ],
                   digest => sha1_hex(map { $digest{$_} } @units) };
}
push @tests, { name => 'scenarios', kind => 'assertion', command => [ "$base/sesqui", 'run', '--stop', 'scenarios', 'scenarios/regressions' ],
               digest => digest_of('scenarios/*.scn', 'scenarios/*/*.scn') },
    { name => 'golden traces', kind => 'golden', command => [ "$base/sesqui", 'run', '--stop', 'scenarios', '--golden', 'traces' ],
      digest => digest_of('scenarios/*.scn', 'traces/*') };
for my $page ('events', 'refusals') {            # pages that are compared by tests/cli/check_vmcs.sh
    push @tests, { name => "docs/$page.md", kind => 'transcript', transcript => 1, command => [ "$base/sesqui", 'checks', "--$page" ],
                   digest => digest_of("docs/$page.md") };
}
# What Bochs has said of the same programs (docs/processor.md), and what this host's processor says of the same instructions.
sub recorded {
    my ($name, $first, $count, @options) = @_;
    my $script = 'tests/processor/processor.sh';
    return { name => "$name, " . ($first + $count), kind => 'recorded', command => [ $script, @options, '--recorded', '--first', $first, '--count', $count ],
             digest => digest_of('tests/processor/*', @options ? 'tests/exits/*' : ()) };
}
my $same_programs = system('SESQUI=build/release/sesqui tests/processor/processor.sh --programs') == 0;
print STDERR "mutants-machine: the compiler has made other programs than those of tests/processor/recorded.list: they do not judge\n" unless $same_programs;
push @tests, $same_programs ? (recorded('processor', 0, 200), recorded('exits', 0, 100, '--exits')) : (),
    { name => 'instructions', kind => 'assertion', command => [ 'tests/instructions/instructions.sh', '--count', 20000 ], only => qr{^emu/unicorn},
      digest => digest_of('tests/instructions/*') };
my $quick_tests = sha1_hex(map { $_->{digest} } @tests);
my @quick = @tests;
push @tests, $same_programs ? (recorded('processor', 200, 800), recorded('exits', 100, 600, '--exits')) : (),
    { name => 'check_parts', kind => 'assertion', command => [ "$base/check_parts" ], only => qr{^model/vmx/check},
               digest => digest_of('tests/fuzz/check_parts.c', 'tests/fuzz/*.h') },
    { name => 'equivalence', kind => 'assertion', command => [ "$base/equivalence", '--programs', 200, '--out', '.' ],
      digest => digest_of('tests/equivalence/*') };
for my $guest ('turnstile', 'turnstile la57', 'wicket', 'wicket la57', 'wicket32', 'wicket32 pae', 'vectors') {
    my ($image, $words) = split / /, $guest;
    for my $core ('bare', 'trap') {
        next if $image eq 'vectors' && $core ne 'bare';
        next unless -e "build/guests/$image.elf";
        push @tests, { name => "guest $guest, $core", kind => 'transcript', digest => digest_of("build/guests/$image.elf"), transcript => 1,
                       command => [ "$base/sesqui", 'boot', "build/guests/$image.elf", '--limit', 30000000, $words ? ('--append', $words) : (),
                                    $core eq 'bare' ? () : "--hv=$core" ] };
    }
}
my $all_tests = sha1_hex(map { $_->{digest} } @tests);
my $judges = $flag{quick} ? $quick_tests : $all_tests;      # what stands behind "nothing has noticed"
$digest{$_->{name}} = $_->{digest} for @tests;
@tests = @quick if $flag{quick};
if ($option{tests} ne '') {
    @tests = grep { $_->{units} ? @{$_->{units}} : $_->{name} =~ /$option{tests}/ }
             map { $_->{units} ? { %$_, units => [ grep { /$option{tests}/ } @{$_->{units}} ] } : $_ } @tests;
}

# Runs a test with the libraries of a folder; [how it ended: '', 'assertion', 'crash', 'time'; the output's file].
sub run_test {
    my ($test, $folder, @units) = @_;
    my $limit = 2 + int(10 * ($test->{seconds} // 5));
    my $child = fork // fail("fork: $!");
    if (!$child) {
        $ENV{LD_LIBRARY_PATH} = "$folder:$base/lib";
        $ENV{CK_FORK} = 'no';
        $ENV{SESQUI} = "$base/sesqui";
        $ENV{INSTRUCTIONS} = "$base/instructions";
        open(STDIN, '<', '/dev/null');
        open(STDOUT, '>', "$folder/out");
        open(STDERR, '>', "$folder/err");
        alarm 20 * $limit;
        # One limit a command: dash takes no more.
        exec('/bin/sh', '-c', "ulimit -t $limit; ulimit -v 16000000; ulimit -c 0; ulimit -f 200000; exec \"\$@\"", 'sh', @{$test->{command}}, @units) or exit 127;
    }
    waitpid($child, 0);
    my ($signal, $status) = ($? & 127, $? >> 8);
    ($signal, $status) = ($status - 128, 0) if $status > 128 && $status < 160;
    exit 3 if $signal == 2 || $signal == 15;        # somebody ends all of it
    fail("$test->{command}[0] cannot be run") if $status == 127;
    return 'time' if $signal == 9 || $signal == 14 || $signal == 24 || $signal == 25;
    return 'crash' if $signal;
    return $status ? 'assertion' : '' if !$test->{transcript};
    return '';
}

sub complaint {
    my ($folder) = @_;
    for (split /\n/, read_file("$folder/out") . read_file("$folder/err")) {
        next unless /^# |:[FE]:|rule (?:was )?broken|rule R\d|differ/;
        s/^# //;
        s/\t/ /g;
        return substr($_, 0, 120);
    }
    return '';
}

# ---- one mutant ----

$ENV{CCACHE_DISABLE} = 1;
my $work = tempdir('mutants-XXXXXX', DIR => -w '/dev/shm' ? '/dev/shm' : $base, CLEANUP => 0);
my $owner = $$;
END { my $status = $?; remove_tree($work) if $work && $$ == ($owner // 0); $? = $status; }

my (%objects, %depends);
for my $part ('model', 'engine') {
    my $objects = `find $base/$part -name '*.o'`;
    for my $object (sort split /\n/, $objects) {
        (my $source = $object) =~ s{^$base/$part/(.*)\.o$}{$1.c};
        $objects{$part}{$source} = $object;
        $depends{$part}{$source} = { map { $_ => 1 } split /[\s\\]+/, read_file($object =~ s/o$/d/r) };
    }
    %{$objects{$part} // {}} or fail("$base/$part has no objects: make mutants-machine");
}
my @wraps = map { s/^-Wl,//r } split /\s+/, read_file('emu/unicorn/wrap.opts');

# The unit tests in the order in which they are likely to notice a fault in a file: those that have done so most often, then those of its name,
# of its room, of the rest; the long ones last.
my (%noticed, %long);
$long{$_} = 1 for qw(vmx_check_test engine_code_test engine_instruction_test);
sub order {
    my ($file, $test) = @_;
    my ($room, $word) = $file =~ m{(?:(\w+)/)?(\w+)\.\w+$};
    my %rank;
    for my $unit (@{$test->{units}}) {
        my ($of, $about) = $unit =~ /^(?:(vmx|engine|device)_)?(\w+)_test$/;
        $rank{$unit} = -10 * ($noticed{$file}{$unit} // 0) +
                       (index($word, $about) >= 0 || index($about, $word) >= 0 ? 0 : ($of // '') eq $room ? 1 : 2) + ($long{$unit} ? 5 : 0);
    }
    my %at = map { $test->{units}[$_] => $_ } 0 .. $#{$test->{units}};
    return sort { $rank{$a} <=> $rank{$b} || $at{$a} <=> $at{$b} } @{$test->{units}};
}

sub one {
    my ($mutant, $folder) = @_;
    my ($file, $part) = ($mutant->{file}, $mutant->{file} =~ /^emu/ ? 'engine' : 'model');
    remove_tree($folder);
    make_path("$folder/" . ($file =~ s{/[^/]*$}{}r));
    open(my $planted, '>', "$folder/$file") or fail("$folder/$file: $!");
    print $planted Plant::planted($rule{$mutant->{rule}}, $file, $mutant->{site});
    close $planted;
    my @sources = $file =~ /\.c$/ ? ($file)
        : $rule{$mutant->{rule}}{sources} ? grep { $depends{$part}{$_}{$file} } split ' ', $rule{$mutant->{rule}}{sources}
        : grep { $depends{$part}{$_}{$file} } sort keys %{$objects{$part}};
    my (%new, $differs);
    for my $source (@sources) {
        my $object = "$folder/" . ($source =~ s{[/.]}{_}gr) . '.o';
        my $from = $source eq $file ? "$folder/$file" : $source;
        system("$ENV{MACHINE_COMPILE} -iquote $folder -iquote . -c -o $object $from 2>$folder/log") == 0 or return ('stillborn', '', '', '');
        $new{$source} = $object;
        $differs ||= read_file($object) ne read_file($objects{$part}{$source});
    }
    return ('equivalent', 'code', 'the compiler makes the same code of it', '') unless $differs;
    my $library = "$folder/libsesqui-$part.so";
    my @link = ('ld', '-shared', '-soname', "libsesqui-$part.so", '-o', $library, $part eq 'engine' ? @wraps : (),
                (map { $new{$_} // $objects{$part}{$_} } sort keys %{$objects{$part}}), $ENV{MACHINE_LIBGCC});
    system(@link) == 0 or exit 2;
    for my $test ($part eq 'engine' && @tests > 1 && $option{tests} eq '' ? @tests[1, 0, 2 .. $#tests] : @tests) {
        next if $test->{only} && $file !~ $test->{only};
        my $how = run_test($test, $folder, $test->{units} ? order($file, $test) : ());
        $how = 'transcript' if !$how && $test->{transcript} && read_file("$folder/out") ne $test->{said};
        next unless $how;
        $how = $test->{kind} if $how eq 'assertion';
        my $by = $test->{units} ? (read_file("$folder/out") =~ /^> (\w+)$/gm)[-1] : $test->{name};
        $noticed{$file}{$by}++;
        return ('killed', $how, $by, $how eq 'time' ? 'no end' : complaint($folder));
    }
    return ('survived', '', '', '');
}

# ---- what is known already ----

my $cache = "$base/verdicts.tsv";
my %known;
for (lines($cache)) {
    my ($digest, $verdict, $how, $by, $complaint, $given) = split /\t/, $_, -1;
    $known{$digest} = { verdict => $verdict, how => $how, by => $by, complaint => $complaint, given => $given };
}
sub valid {
    my ($known) = @_;
    return 0 unless $known;
    return 1 if $known->{verdict} eq 'stillborn' || $known->{verdict} eq 'equivalent';
    return $known->{given} eq ($digest{$known->{by}} // '') if $known->{verdict} eq 'killed' && $known->{how} =~ /^(?:assertion|recorded)$/;
    return $known->{given} eq $all_tests || ($flag{quick} && $known->{given} eq $quick_tests);
}
for (@chosen) { my $known = $known{$_->{digest}}; $noticed{$_->{file}}{$known->{by}}++ if $known && $known->{verdict} eq 'killed'; }
my @todo = $flag{cached} ? () : grep { $flag{fresh} || !valid($known{$_->{digest}}) } @chosen;
@todo = grep { $known{$_->{digest}} && $known{$_->{digest}}{verdict} eq 'survived' } @chosen if $option{tests} ne '';
# Drawn: whatever has been judged at any moment is a random sample of what was chosen. What has been judged before, with other tests, comes last.
@todo = sort { !$known{$b->{digest}} cmp !$known{$a->{digest}} || sha1_hex($a->{digest}) cmp sha1_hex($b->{digest}) } @todo;

# ---- the run ----

my $start = time;
my $spent = 0;
if (@todo) {
    for my $test (@tests) {
        mkdir "$work/0";
        my $before = sum0((times)[2, 3]);
        my $how = run_test($test, "$work/0", $test->{units} ? @{$test->{units}} : ());
        $test->{seconds} = sum0((times)[2, 3]) - $before;
        fail("$test->{name} fails without a fault: $how: " . complaint("$work/0")) if $how;
        $test->{said} = read_file("$work/0/out") if $test->{transcript};
    }
    make_path($option{report} =~ s{/[^/]*$}{}r);
    pipe(my $from, my $to) or fail("pipe: $!");
    my %worker;
    my $stop = 0;
    $SIG{INT} = $SIG{TERM} = sub { $stop = 1; kill 'TERM', keys %worker; };
    for my $job (0 .. $option{jobs} - 1) {
        my $child = fork // fail("fork: $!");
        if ($child) { $worker{$child} = 1; next; }
        $SIG{INT} = $SIG{TERM} = 'DEFAULT';
        for (my $i = $job; $i < @todo; $i += $option{jobs}) {
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
        my ($i, $verdict, $how, $by, $complaint) = split /\t/, $_, -1;
        next if $option{tests} ne '' && $verdict ne 'killed' && ++$done;
        my $given = $verdict eq 'killed' && $how =~ /^(?:assertion|recorded)$/ ? $digest{$by} : $judges;
        $known{$todo[$i]{digest}} = { verdict => $verdict, how => $how, by => $by, complaint => $complaint, given => $given };
        syswrite($keep, join("\t", $todo[$i]{digest}, $verdict, $how, $by, $complaint, $given) . "\n");
        $done++;
        next if time - $told < 2 && $done < @todo;
        $told = time;
        my $line = sprintf('%d of %d, %d s', $done, scalar @todo, time - $start);
        if (open(my $progress, '>', "$option{report}.progress")) { print $progress "$line\n"; }
        print STDERR "\rmutants-machine: $line " if -t STDERR;
    }
    print STDERR "\n" if -t STDERR;
    for (keys %worker) { waitpid($_, 0); $stop ||= $? >> 8 || $? & 127; }
    $spent = sum0((times)[2, 3]);
    if ($stop) { print STDERR "mutants-machine: ended early; the next run goes on from here\n"; exit 130; }
}

# ---- the report ----

my (%reason, @pattern, @wrong);
for (lines("$here/equivalent.list")) {
    my ($rule, $file, $text, $why) = split /\t/;
    defined $why or fail("equivalent.list: a line needs RULE, FILE, TEXT, REASON: $_");
    if ($text =~ s/^~//) { push @pattern, [ $rule eq '*' ? '' : $rule, $file, qr/$text/, $why ]; next; }
    $reason{"$rule\t$file\t$text"} = $why;
}
my %survivor = map { $_ => 1 } lines("$here/survivors.list");
my %exists = map { $_->{key} => 1 } @all;
push @wrong, map { "equivalent.list: there is no such mutant: $_" } grep { my ($f) = /\t([^\t]*)/; $rooms{$room_of{$f =~ m{^emu/} ? $f =~ s{^(\w+/\w+)/.*}{$1}r : $f =~ s{/.*}{}r}} && !$exists{$_} } sort keys %reason;

make_path($option{report} =~ s{/[^/]*$}{}r);
open(my $tsv, '>', "$option{report}.tsv") or fail("$option{report}.tsv: $!");
print $tsv join("\t", qw(rule file line text verdict how by)), "\n";
my (%by_file, %by_rule, %total, @survivors, %killer);
for my $mutant (sort { $a->{file} cmp $b->{file} || $a->{line} <=> $b->{line} || $a->{key} cmp $b->{key} } @chosen) {
    my $known = $known{$mutant->{digest}};
    my ($verdict, $how, $by) = $known ? @$known{qw(verdict how by)} : ('unjudged', '', '');
    ($verdict, $how, $by) = ('unjudged', '', '') if $known && !$flag{cached} && !valid($known);
    if ($reason{$mutant->{key}}) {
        push @wrong, "$mutant->{file}:$mutant->{line}: listed as equivalent, but $by noticed it: $mutant->{text}" if $verdict eq 'killed';
        ($verdict, $how, $by) = ('equivalent', 'listed', $reason{$mutant->{key}}) if $verdict eq 'survived';
    }
    if ($verdict eq 'survived') {
        my ($fits) = grep { $_->[0] =~ /^(?:\Q$mutant->{rule}\E)?$/ && $_->[1] eq $mutant->{file} && $mutant->{text} =~ $_->[2] } @pattern;
        ($verdict, $how, $by) = ('equivalent', 'listed', $fits->[3]) if $fits;
    }
    push @survivors, $mutant if $verdict eq 'survived';
    my $column = $verdict eq 'killed' ? $how : $verdict;
    $_->{$column}++ for \%total, $by_file{$mutant->{file}} //= {}, $by_rule{$mutant->{rule}} //= {}, $total{room}{$mutant->{room}} //= {};
    $killer{$by}++ if $verdict eq 'killed';
    $verdict .= ', known' if $verdict eq 'survived' && $survivor{$mutant->{key}};
    print $tsv join("\t", @$mutant{qw(rule file line text)}, $verdict, $how, $by), "\n";
}
close $tsv;

my @columns = qw(assertion recorded golden transcript crash time survived equivalent);
sub row {
    my ($name, $of) = @_;
    my $killed = sum0(map { $of->{$_} // 0 } @columns[0 .. 5]);
    my $differ = $killed + ($of->{survived} // 0);
    return sprintf("%-34s %6d %9d %8d %7d %10d %6d %6d %9d %10d %7s\n", $name, $differ + ($of->{equivalent} // 0), (map { $of->{$_} // 0 } @columns),
                   $differ ? sprintf('%.1f %%', 100 * $killed / $differ) : '-');
}
my $text = sprintf("%d mutants of %d%s\n\n", scalar @chosen, scalar @all, @todo ? sprintf(': %d judged now, in %d s (%d s of the processor)', scalar @todo, time - $start, $spent) : '');
my $head = sprintf("%-34s %6s %9s %8s %7s %10s %6s %6s %9s %10s %7s\n", '', 'made', @columns, 'noticed');
$text .= $head . join('', map { row($_, $by_file{$_}) } sort keys %by_file) . "\n" . $head;
$text .= join('', map { row($_, $by_rule{$_}) } sort keys %by_rule) . "\n" . $head;
my $bad = 0;
for my $room (sort keys %{$total{room}}) {
    my $of = $total{room}{$room};
    my $killed = sum0(map { $of->{$_} // 0 } @columns[0 .. 5]);
    my $differ = $killed + ($of->{survived} // 0);
    $text .= row($room, $of);
    $bad = 1 if $differ && $killed < $differ * ($room =~ /model|arch/ ? 0.95 : 0.90);
}
$text .= row('all', \%total);
$text .= "\nnoticed by\n" . join('', map { sprintf("  %-40s %5d\n", $_, $killer{$_}) } sort { $killer{$b} <=> $killer{$a} || $a cmp $b } keys %killer);
$text .= sprintf("\n%d do not compile, and count nowhere\n", $total{stillborn}) if $total{stillborn};
$text .= sprintf("%d are not judged yet\n", $total{unjudged}) if $total{unjudged};
$text .= "\nsurvivors\n" . join('', map { "  $_->{file}:$_->{line}: $_->{rule}: $_->{text}\n" } @survivors) if @survivors;
$text .= "\nwrong\n" . join('', map { "  $_\n" } @wrong) if @wrong;
open(my $report, '>', "$option{report}.txt") or fail("$option{report}.txt: $!");
print $report $text;
close $report;
print $text;
exit($bad || @wrong ? 1 : 0);
