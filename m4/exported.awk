# Print the names of the functions that a C header declares, one a line.
{ source = source $0 "\n" }
END {
    while (match(source, /\/\*/)) {
        rest = substr(source, RSTART + 2)
        end = index(rest, "*/")
        source = substr(source, 1, RSTART - 1) " " substr(rest, end + 2)
    }
    gsub(/\n[ \t]*#[^\n]*/, "\n", source)
    gsub(/\{[^{}]*\}/, " ", source)
    n = split(source, statements, ";")
    for (i = 1; i <= n; i++) {
        if (statements[i] !~ /(^|[ \n])typedef[ \n]/ && match(statements[i], /ink_[a-z0-9_]+\(/)) {
            print substr(statements[i], RSTART, RLENGTH - 1)
        }
    }
}
