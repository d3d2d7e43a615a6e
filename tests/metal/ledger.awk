# SPDX-License-Identifier: MIT
# Writes docs/bochs-entries.md from ledger.tsv.
BEGIN {
    FS = "\t"
    print "# VM entries: where Bochs 2.7 departs from the SDM"
    print ""
    print "Written by `make docs` from `tests/metal/ledger.tsv`; `docs/bochs-ledger.md` has what running guests showed. `make vectors`"
    print "tries the same VM entries on our machine and on Debian's Bochs 2.7 (processor `corei7_skylake_x`): `docs/vectors.md`. A"
    print "difference that no row explains fails, and so does a row that explains nothing. Sections: SDM Vol. 3, edition of `sdm.md`."
    print ""
    print "| kind | where | section | what Bochs does |"
    print "|---|---|---|---|"
}
/^#/ || $0 == "" { next }
{
    where = $2
    gsub(/\|/, "\\|", where)
    if (where == ".*")
        where = "any"
    count[$1]++
    printf "| %s | `%s` | %s | %s |\n", $1, where, $4, $5
}
END {
    print ""
    printf "%d checks that are not made, %d other differences, %d that the SDM leaves open.\n", count["unchecked"], count["state"], \
           count["undefined"]
}
