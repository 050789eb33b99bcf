# bash completion for mdmd, mdmctl and mdm-sim: what their own --help lists at that place.
_mdmd() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} word help
    local -a verbs=()
    case $previous in
    --config | --socket | --*-file | --directory | --tls-* | --output)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        compopt -o filenames 2>/dev/null
        return
        ;;
    esac
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        # Verbs are lower case; an argument of one shows the same help again.
        if [[ $word =~ ^[a-z][a-z-]*$ ]]; then verbs+=("$word"); fi
    done
    while :; do
        help=$("${COMP_WORDS[0]}" "${verbs[@]}" --help 2>/dev/null) && break
        if [ ${#verbs[@]} = 0 ]; then return; fi
        unset "verbs[-1]"
    done
    mapfile -t COMPREPLY < <(compgen -W "$(awk '
        /^[A-Z][A-Za-z ]*:$/ { verbs = /^Subcommands:/; next }
        verbs && /^  [a-z]/ { print $1 }
        /^  -/ { for (i = 1; i <= NF; ++i) if ($i ~ /^-/) { n = split($i, o, ","); for (j = 1; j <= n; ++j) if (o[j] ~ /^--/) print o[j] } else break }
    ' <<<"$help")" -- "$current")
}
complete -F _mdmd mdmd mdmctl mdm-sim
