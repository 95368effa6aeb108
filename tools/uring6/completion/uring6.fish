# Completion of the command uring6 for fish. Options and subcommands are read from `uring6 --help`, so they are those of
# the command that is installed.

function __uring6_subcommand
    for word in (commandline -opc)[2..]
        if not string match -q -- '-*' $word
            echo $word
            return
        end
    end
end

function __uring6_words
    set -l command (commandline -opc)[1]
    set -l subcommand (__uring6_subcommand)
    set -l current (commandline -ct)
    set -l previous (commandline -opc)[-1]
    if contains -- $previous -i --interface
        for each in /sys/class/net/*
            basename $each
        end
        return
    end
    if string match -q -- '-*' $current
        # The description stands behind the names, or in the next line.
        $command $subcommand --help 2>/dev/null | awk '
            function flush() { if (names) { n = split(names, all, ","); for (i = 1; i <= n; ++i) if (all[i]) print all[i] "\t" text }
                               names = "" }
            /^  -/ { flush(); names = $1; if ($2 ~ /^-/) names = names $2
                     text = match($0, /[^ ]  +[^ -]/) ? substr($0, RSTART + RLENGTH - 1) : ""; next }
            names && !text && /^    / { sub(/^ +/, ""); text = $0; next }
            { flush() }
            END { flush() }'
    else if test -z "$subcommand"
        $command --help 2>/dev/null | awk '/^[^ ]/ { inside = /^Subcommands:/ }
            inside && /^  [a-z]/ { name = $1; $1 = ""; print name "\t" substr($0, 2) }'
    end
end

complete -c uring6 -f -a '(__uring6_words)'
