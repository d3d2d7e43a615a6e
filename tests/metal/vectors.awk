# SPDX-License-Identifier: MIT
# Compares the verdicts of two machines on one list of VM entries (docs/vectors.md).
#   awk [-v stale=1] -f verdict.awk -f vectors.awk LEDGER EXPECTED OURS THEIRS
# Prints how many are alike, what explains the others, and every difference that nothing explains, by check row.
# Exit status 1 if there is one, if a transcript is incomplete, or, with stale=1, if a row of the ledger explains nothing.
BEGIN {
    FS = "\t"
    split("ledger expected ours theirs", part, " ")
}
FNR == 1 { file++ }
/^#/ && file == 1 || $0 == "" { next }
file == 1 {
    if (NF != 5)
        fail("ledger.tsv: 5 columns, please: " $0)
    if ($1 == "unchecked")
        unchecked[$2] = $0
    else if ($1 == "state" || $1 == "undefined") {
        rule_name[++rules] = "^(" $2 ")$"
        rule_difference[rules] = "^" $3 "( |$)"
        rule_line[rules] = $0
    }
    next
}
file == 2 {
    order[++names] = $1
    rows[$1] = $3
    next
}
/^(machine|vectors:) / { next }
{
    at = index($0, ": ")
    name = substr($0, 1, at - 1)
    verdict[file, name] = substr($0, at + 2)
}
END {
    for (n = 1; n <= names; n++)
        compare(order[n])
    printf "%d vectors: %d alike", names, alike
    printf ", %d ask for what one machine does not offer, %d allow either answer\n", unoffered, either
    for (group in unexplained)
        printf "UNEXPLAINED, %s (%d):\n%s", group, shown[group], unexplained[group]
    for (row in unchecked)
        explained(row_uses[row], unchecked[row])
    for (i = 1; i <= rules; i++)
        explained(rule_uses[i], rule_line[i])
    if (failures)
        printf "%d failures\n", failures
    exit failures > 0
}

function fail(text) { print "FAILURE: " text; failures++ }

function explained(uses, line,   column)
{
    split(line, column, "\t")
    if (!uses && stale)
        fail("the ledger's row \"" column[1] " " column[2] " " column[3] "\" explains nothing")
    else
        printf "%5d  %s [%s] %s\n", uses, column[1], column[4], column[5]
}

# May these rows, all failing, give this answer?  Controls and host state may be checked in any order, so may the rules of
# guest state among each other (27.2, 27.3.1).
function may_answer(failing, class,   list, count, i, row, groups)
{
    count = split(failing, list, ",")
    for (i = 1; i <= count; i++) {
        split(list[i], row, "=")
        groups[substr(row[2], 1, 2) == "33" ? "guest" : "fail"] = 1
    }
    if (!count)
        return class == "entered"
    for (i = 1; i <= count; i++) {
        split(list[i], row, "=")
        if (row[2] == class && (!("fail" in groups) || class == "7" || class == "8"))
            return 1
    }
    return 0
}

# The list of rows without those that Bochs does not check.
function checked_rows(failing,   list, count, i, row, left)
{
    count = split(failing, list, ",")
    left = ""
    for (i = 1; i <= count; i++) {
        split(list[i], row, "=")
        if (!(row[1] in unchecked))
            left = left (left == "" ? "" : ",") list[i]
    }
    return left
}

function count_unchecked(failing,   list, count, i, row)
{
    count = split(failing, list, ",")
    for (i = 1; i <= count; i++) {
        split(list[i], row, "=")
        if (row[1] in unchecked)
            row_uses[row[1]]++
    }
}

# Does a machine that lacks what is asked for refuse it as it must?
function refuses(v, lacking, failing,   class)
{
    class = class_of(v)
    if (lacking ~ /(pin|proc|proc2|exit|entry)(,|$)/)
        return class == "7" || (class == "8" && may_answer(failing, "8"))
    if (lacking ~ /host_cr4/)
        return class == "8" || class == "7"
    return class == "7" || class == "8" || class ~ /^33/
}

function word_starting(v, start,   words, count, i)
{
    count = split(v, words, " ")
    for (i = 1; i <= count; i++)
        if (index(words[i], start) == 1)
            return substr(words[i], length(start) + 1)
    return ""
}

function plain(v)
{
    sub(/ absent$/, "", v)
    sub(/ unoffered=[a-z0-9_,]*$/, "", v)
    return v
}

# " -WORD" for each word of a that b lacks, " +WORD" for each that b adds.
function difference(a, b,   wa, wb, na, nb, i, seen_a, seen_b, text)
{
    na = split(a, wa, " ")
    nb = split(b, wb, " ")
    for (i = 1; i <= na; i++)
        seen_a[wa[i]] = 1
    for (i = 1; i <= nb; i++)
        seen_b[wb[i]] = 1
    text = ""
    for (i = 1; i <= na; i++)
        if (!(wa[i] in seen_b))
            text = text " -" wa[i]
    for (i = 1; i <= nb; i++)
        if (!(wb[i] in seen_a))
            text = text " +" wb[i]
    return text
}

# Takes from the difference, word after word, what the ledger's rules say.
function explain(name, text,   i, used, found)
{
    for (found = 1; found && text != ""; ) {
        found = 0
        for (i = 1; i <= rules && !found; i++)
            if (name ~ rule_name[i] && match(text, rule_difference[i])) {
                text = substr(text, RLENGTH + (substr(text, RLENGTH, 1) == " " ? 0 : 1))
                used = used " " i
                found = 1
            }
    }
    return text == "" ? used : ""
}

function compare(name,   a, b, lack_a, lack_b, text, used, list, count, i)
{
    if (!((3, name) in verdict) || !((4, name) in verdict)) {
        fail(name ": tried on one machine only")
        return
    }
    a = verdict[3, name]
    b = verdict[4, name]
    lack_a = word_starting(a, "unoffered=")
    lack_b = word_starting(b, "unoffered=")
    if (plain(a) == plain(b)) {
        alike++
        return
    }
    if (lack_a != lack_b || (a ~ / absent$/) != (b ~ / absent$/)) {
        unoffered++
        if (lack_a != "" && !refuses(a, lack_a, rows[name]))
            unexplain("accepted though not offered", name, a, b)
        else if (lack_b != "" && !refuses(b, lack_b, rows[name]))
            unexplain("accepted though not offered", name, a, b)
        return
    }
    if (class_of(a) != class_of(b)) {
        if (may_answer(rows[name], class_of(b))) {
            either++
            return
        }
        if (checked_rows(rows[name]) != rows[name] && may_answer(checked_rows(rows[name]), class_of(b))) {
            count_unchecked(rows[name])
            return
        }
    }
    text = difference(plain(a), plain(b))
    used = explain(name, text)
    if (used == "") {
        unexplain(rows[name] == "" ? "no row fails" : rows[name], name, a, b)
        return
    }
    count = split(used, list, " ")
    for (i = 1; i <= count; i++)
        rule_uses[list[i]]++
}

function unexplain(group, name, a, b)
{
    failures++
    if (shown[group]++ == 5)
        unexplained[group] = unexplained[group] "    ...\n"
    if (shown[group] > 5)
        return
    unexplained[group] = unexplained[group] "    " name "\n      ours   " a "\n      theirs " b "\n     " \
                         difference(plain(a), plain(b)) "\n"
}
