# SPDX-License-Identifier: MIT
# What a verdict of scenarios/guests/vectors says of the entry itself: "7", "8", "33/0x4", "entered".
function class_of(v,   words)
{
    split(v, words, " ")
    if (words[1] == "error")
        return words[2]
    if (words[1] == "refused,") {
        sub("qualification=", "", words[4])
        return words[3] "/" words[4]
    }
    sub(",", "", words[1])
    return words[1]
}
