# SPDX-License-Identifier: MIT
# Explains differences of user-level instructions by the ledger.   awk -f compare.awk LEDGER OUTPUT
# Exit status 1: something is not explained, or the run did not end.
BEGIN { FS = "\t" }
FNR == 1 { file++ }
file == 1 && !/^#/ && NF == 4 {
    opcode[++rules] = "^(" $1 ")$"
    difference[rules] = "^(" $2 ")$"
    line[rules] = $0
}
file == 1 { next }
/^DIFFERENT / {
    text = $0
    sub(/^DIFFERENT [0-9]+ /, "", text)
    name = substr(text, 1, index(text, ":") - 1)
    what = text
    sub(/^[^:]*:[^:]*: /, "", what)
    for (i = 1; i <= rules; i++)
        if (name ~ opcode[i] && what ~ difference[i]) {
            uses[i]++
            next
        }
    unexplained++
    if (unexplained <= 20)
        print "UNEXPLAINED " $0
    next
}
/ instructions of / { ended = 1 }
{ print }
END {
    for (i = 1; i <= rules; i++) {
        split(line[i], column, "\t")
        printf "%7d  %s [%s] %s\n", uses[i], column[1], column[3], column[4]
    }
    exit unexplained > 0 || !ended
}
