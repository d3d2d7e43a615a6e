#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs a user's own build of kvm-unit-tests on the bare machine.   tests/conformance/run.sh [OPTION...] DIR
#
# DIR is the suite's folder (or its x86/ folder); nothing of it is in this repository. Every subtest of vmx.list runs, and
# every image of cpu.list, side by side. What they printed, and the results as TAP, JUnit and a table, go to the output folder.
# Exit status: 0 if enough VMX subtests pass, and all images of cpu.list but those known to fail, else 1.
set -u
usage="usage: tests/conformance/run.sh [OPTION...] DIR

  --threshold N     VMX subtests that must pass (default 103 of 107)
  --jobs N          how many run side by side (default: one a processor)
  --only PATTERN    subtests and images whose name matches this extended regular expression; the threshold then is all of them
  --output DIR      default build/conformance
  --vmx             the subtests of vmx.flat alone
  --machine TEXT    further options for sesqui boot, such as --hv; strategies.sh compares what they come to
  --scale N         multiplies each limit of instructions (default 1)"
here=$(dirname "$0")
sesqui=${SESQUI:-build/release/sesqui}

# ---- one subtest: called below through xargs ----
# one IMAGE SUBTEST MEMORY CPUS LIMIT ENVIRONMENT: writes output/IMAGE.SUBTEST.tsv
one()
{
    local image=$1 subtest=$2 memory=$3 cpus=$4 limit=$5 environment=$6
    local name=$image; [ "$subtest" = - ] || name=$image.${subtest//\//-}
    local base=$output/$name arguments=() status verdict start=$EPOCHREALTIME seconds
    [ "$subtest" = - ] || arguments+=(--append "$subtest")
    # It tries the MSR where it is not locked; where it is, it says so, and tries nothing.
    [ "$image.$subtest" != vmx.test_vmx_feature_control ] || arguments+=(--feature-control 0)
    if [ "$environment" != - ]; then
        printf '%s\n' "NR_CPUS=$cpus" "MEMSIZE=$memory" "${environment//,/$'\n'}" >"$base.environment"
        arguments+=(--initrd "$base.environment")
    fi
    # The limit of instructions ends what hangs in the guest; the clock is for a machine that hangs itself.
    # shellcheck disable=SC2086
    timeout 3600 "$sesqui" boot "$dir/$image.flat" "${arguments[@]}" --memory "${memory}M" --cpus "$cpus" --limit "$((limit * scale))M" \
        --count $machine >"$base.out" 2>"$base.err" </dev/null
    status=$?
    seconds=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
    case $status in
    0) verdict=pass ;;
    1) verdict=FAIL ;;
    38) verdict=skip ;;
    120) verdict=LIMIT ;;
    124 | 137) verdict=STUCK ;;
    *) verdict=ABORT ;;
    esac
    awk -v OFS='\t' -v name="$name" -v image="$image" -v subtest="$subtest" -v verdict="$verdict" -v status="$status" -v seconds="$seconds" '
        BEGIN { instructions = "0" }
        FILENAME ~ /[.]err$/ { if ($NF == "instructions") instructions = $(NF - 1); else if (!/entry failed|warning/) message = $0; next }
        /^PASS/ { pass++ } /^(FAIL|XPASS)/ { fail++; if (!first) first = $0 } /^SKIP/ { skip++; if (!skipped) skipped = $0 }
        /Unhandled|Assertion failed/ { if (!first) first = $0 } /[^ \r]/ { last = $0 }
        END {
            why = first ? first : verdict == "skip" ? skipped : verdict == "pass" ? "" : message ? message : last
            gsub(/[\t\r]/, " ", why)
            print name, image, subtest, verdict, pass + 0, fail + 0, skip + 0, instructions, seconds, status, substr(why, 1, 200)
        }' "$base.out" "$base.err" >"$base.tsv"
    echo "$name"
}

if [ "${1:-}" = --one ]; then       # the rest comes from the environment
    # shellcheck disable=SC2086
    set -- $2
    one "$@"
    exit
fi

# ---- options ----
threshold=103 jobs=$(nproc) only='' output=build/conformance machine='' scale=1 images=all dir=
while [ $# -gt 0 ]; do
    case $1 in
    --threshold | --jobs | --only | --output | --machine | --scale)
        [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; }
        printf -v "${1#--}" %s "$2"
        shift
        ;;
    --vmx) images=vmx ;;
    --help | -h) echo "$usage"; exit 0 ;;
    -*) echo "unknown option $1" >&2; echo "$usage" >&2; exit 2 ;;
    *) dir=$1 ;;
    esac
    shift
done
case $threshold$jobs$scale in *[!0-9]*) echo "--threshold, --jobs and --scale take numbers" >&2; exit 2 ;; esac
[ -n "$dir" ] || { echo "say where the suite was built:  make conformance KUT=DIR" >&2; exit 2; }
[ -f "$dir/x86/vmx.flat" ] && dir=$dir/x86
[ -f "$dir/vmx.flat" ] || { echo "$dir: no vmx.flat here; build the suite first (its ./configure && make)" >&2; exit 2; }
[ -x "$sesqui" ] || { echo "$sesqui: not built (make)" >&2; exit 2; }

mkdir -p "$output"
rm -f "$output"/*.out "$output"/*.err "$output"/*.tsv "$output"/*.environment
grep -v '^#' "$here/bochs-2.7.tsv" >"$output/baseline"
# All that shall run, in the order of the report: IMAGE SUBTEST MEMORY CPUS LIMIT ENVIRONMENT
{
    awk '!/^#/ && NF { print "vmx", $1, $2, $3, $4, "-" }' "$here/vmx.list"
    [ "$images" = vmx ] || awk '!/^#/ && NF { print $1, "-", $2, $3, $4, $5 }' "$here/cpu.list"
} | awk -v only="$only" '($2 == "-" ? $1 : $2) ~ only' >"$output/plan"
total=$(wc -l <"$output/plan")
[ "$total" -gt 0 ] || { echo "nothing matches \"$only\"" >&2; exit 2; }
wanted=$(grep -c '^vmx ' "$output/plan")
[ -n "$only" ] || wanted=$threshold

# ---- run: what takes longest first ----
cut -d' ' -f1 "$output/plan" | sort -u | sed 's/$/.flat/' | (cd "$dir" && xargs sha256sum)
echo
export output dir machine scale SESQUI=$sesqui
finished=0
while read -r name; do
    finished=$((finished + 1))
    [ -t 2 ] && printf '\r\033[K%d of %d: %s' "$finished" "$total" "$name" >&2
done < <(sort -s -k5,5nr "$output/plan" | tr '\n' '\0' | xargs -0 -P "$jobs" -I '{}' bash "$0" --one '{}')
[ -t 2 ] && printf '\r\033[K' >&2

# ---- report ----
while read -r image subtest _; do
    name=$image; [ "$subtest" = - ] || name=$image.${subtest//\//-}
    cat "$output/$name.tsv" 2>/dev/null || printf '%s\t%s\t%s\tLOST\t0\t0\t0\t0\t0\t-\tno result\n' "$name" "$image" "$subtest"
done <"$output/plan" >"$output/results.tsv"

awk -F'\t' -v wanted="$wanted" -v tap="$output/results.tap" -v junit="$output/results.xml" '
    function xml(text) { gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text); gsub(/"/, "\\&quot;", text)
                         gsub(/[\001-\037]/, " ", text); return text }
    FILENAME ~ /cpu[.]list$/ {
        count = split($0, word, /[ \t]+/)
        if (!/^#/) for (i = 6; i <= count; i++) known[word[1]] = known[word[1]] (i > 6 ? " " : "") word[i]
        next
    }
    FILENAME ~ /baseline$/ { if ($1 != "subtest") { bochs[$1] = $2 " " $3 "/" $4 "/" $5; bochs_seconds[$1] = $7; if ($2 == "PASS") bochs_pass++ } next }
    {
        n++
        title = $3 == "-" ? $2 : $3
        vmx += $2 == "vmx"; vmx_pass += $2 == "vmx" && $4 == "pass"; others += $2 != "vmx"; others_pass += $2 != "vmx" && $4 == "pass"
        instructions += $8; seconds += $9
        row[n] = sprintf("%-46s %-6s %6d %5d %5d %9.1f M %7.1f  %s", title, $4, $5, $6, $7, $8 / 1e6, $9, $2 == "vmx" && title in bochs ? bochs[title] : "")
        if ($4 != "pass") row[n] = row[n] "\n    " $11
        excused = $3 == "-" && $2 in known && $4 != "pass"
        if (excused) { row[n] = row[n] "\n    known: " known[$2]; others_excused++ }
        failed = $4 != "pass" && $4 != "skip" && !excused
        point[n] = (failed || excused ? "not ok " : "ok ") n " - " $2 ($3 == "-" ? "" : " " $3) ($4 == "skip" ? " # SKIP " $11 : excused ? " # TODO " known[$2] : failed ? " # " $4 ": " $11 : "")
        xml_case[n] = sprintf("  <testcase classname=\"%s\" name=\"%s\" time=\"%s\">%s</testcase>", xml($2), xml(title), $9,
                              failed ? sprintf("<failure type=\"%s\" message=\"%s\"/>", $4, xml($11)) : $4 == "skip" || excused ? sprintf("<skipped message=\"%s\"/>", xml(excused ? known[$2] : $11)) : "")
        failures += failed; skips += $4 == "skip"
    }
    END {
        printf "%-46s %-6s %6s %5s %5s %11s %7s  %s\n", "subtest", "result", "PASS", "FAIL", "SKIP", "instr.", "s", "Bochs 2.7: result PASS/FAIL/SKIP"
        for (i = 1; i <= n; i++) print row[i]
        printf "TAP version 13\n1..%d\n", n > tap
        for (i = 1; i <= n; i++) print point[i] > tap
        printf "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"kvm-unit-tests\" tests=\"%d\" failures=\"%d\" skipped=\"%d\" time=\"%.1f\">\n", n, failures, skips, seconds > junit
        for (i = 1; i <= n; i++) print xml_case[i] > junit
        print "</testsuite>" > junit
        printf "\n%.1f G instructions, %.0f s of one processor\n", instructions / 1e9, seconds
        printf "other images: %d of %d pass, %d known not to\n", others_pass, others, others_excused
        printf "VMX subtests: %d of %d pass, %d wanted (Bochs 2.7: %d of 107)\n", vmx_pass, vmx, wanted, bochs_pass
        exit !(vmx_pass >= wanted && others_pass + others_excused == others)
    }' "$here/cpu.list" "$output/baseline" "$output/results.tsv" | tee "$output/table.txt"
exit "${PIPESTATUS[0]}"
