# SPDX-License-Identifier: MIT
# Compares what random programs left behind on two machines, step by step.
#   awk [-v stale=1] [-v show=N] -f compare.awk LEDGER OURS THEIRS
# A row that explains nothing is a failure if stale=1, unless its text names the seed and program that it was seen with.
# Programs whose steps are alike; those whose first difference a row of the ledger explains, by row; and every other one, which is a
# failure. What follows a difference in the same program is not looked at. Exit status 1: failures; 2: the ledger is wrong.
BEGIN {
    split("ledger ours theirs", part, " ")
    show = show == "" ? 20 : show
}
FNR == 1 { file++ }
file == 1 {
    if (/^#/ || $0 == "")
        next
    if (split($0, column, "\t") != 5) {
        print "ledger.tsv: 5 columns, please: " $0
        bad = 2
        exit
    }
    step_rule[++rules] = "^(" column[2] ")$"
    difference_rule[rules] = "^( (" column[3] "))+$"
    row[rules] = $0
    next
}
!/^[0-9]+\.[0-9]+ / { next }
file == 2 {
    at = index($0, " ")
    if (!((program = int($1)) in first)) {
        first[program] = 1
        order[++programs] = program
    }
    name = substr($0, 1, at - 1)
    ours[name] = substr($0, at + 1)
    steps[program]++
    step_count++
    if ($2 ~ /\/last:$/ && !/(shutdown|endless)=1/)
        ended++
    endless += / endless=1/
    if (/ vector=3 / )
        completed++
    next
}
{
    theirs[substr($0, 1, index($0, " ") - 1)] = substr($0, index($0, " ") + 1)
    theirs_steps[int($1)]++
}
END {
    if (bad)
        exit bad
    for (i = 1; i <= programs; i++)
        compare(order[i])
    printf "%d programs, %d steps: %d programs alike, %d explained, %d not; %d reached their last instruction; %d steps went through; %d programs do not end\n",
           programs, step_count, alike, explained, failures, ended, completed, endless
    for (i = 1; i <= rules; i++) {
        split(row[i], column, "\t")
        if (uses[i])
            printf "%6d  %.2f%%  %s | %s [%s] %s\n", uses[i], 100 * uses[i] / programs, column[2], column[3], column[4], column[5]
        else if (stale && column[5] !~ /\(seed [0-9]+, program [0-9]+\)/) {
            print "FAILURE: the ledger's row \"" column[2] "\" explains nothing"
            failures++
        }
    }
    if (explained * 10 > programs) {
        print "FAILURE: the ledger excuses more than a tenth of the programs"
        failures++
    }
    if (ended * 10 < programs * 8) {
        print "FAILURE: less than eight tenths of the programs reached their last instruction"
        failures++
    }
    exit failures > 0
}

# " -WORD" for each word of a that b lacks, " +WORD" for each that b adds; the rest of a word is what stands behind =.
function difference(a, b,   wa, wb, na, nb, i, va, vb, text, at, name)
{
    na = split(a, wa, " ")
    nb = split(b, wb, " ")
    for (i = 2; i <= na; i++) {
        at = index(wa[i], "=")
        va[substr(wa[i], 1, at - 1)] = substr(wa[i], at + 1)
    }
    for (i = 2; i <= nb; i++) {
        at = index(wb[i], "=")
        name = substr(wb[i], 1, at - 1)
        vb[name] = 1
        if (va[name] != substr(wb[i], at + 1))
            text = text " " name "=" (name in va && va[name] != "" ? va[name] : 0) ":" substr(wb[i], at + 1)
    }
    for (i = 2; i <= na; i++) {
        name = substr(wa[i], 1, index(wa[i], "=") - 1)
        if (!(name in vb))
            text = text " " name "=" va[name] ":0"
    }
    return text
}

function compare(program,   step, name, a, b, text, i, kind, event)
{
    for (step = 0; step < 64; step++) {
        name = program "." step
        if (!(name in ours) && !(name in theirs))
            break
        a = ours[name]
        b = theirs[name]
        if (a == b)
            continue
        kind = a == "" ? b : a
        event = match(kind, / event=[0-9a-f]+/) ? ":" substr(kind, RSTART + 7, RLENGTH - 7) : ""
        kind = substr(kind, 1, index(kind ":", ":") - 1) "#" (match(a, / (vector|exit)=[0-9a-f]+/) ? substr(a, index(a, "=") + 1, RLENGTH - index(substr(a, RSTART), "=")) : 0)
        kind = kind event
        text = a == "" || b == "" ? " " (a == "" ? "ours" : "theirs") "=missing:0" : difference(a, b)
        for (i = 1; i <= rules; i++)
            if (kind ~ step_rule[i] && text ~ difference_rule[i]) {
                uses[i]++
                explained++
                return
            }
        failures++
        if (shown++ < show)
            print "UNEXPLAINED " name " " kind ":" text
        return
    }
    alike++
}
