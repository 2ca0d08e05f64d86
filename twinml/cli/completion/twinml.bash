# Tab completion of twinml for bash. Put into ~/.bashrc:  eval "$(twinml completion bash)"
_twinml() {
    local line="${COMP_LINE:0:COMP_POINT}" found word
    word="${line##*[[:space:]]}"
    mapfile -t found < <("${COMP_WORDS[0]}" completion --line "$line" 2>/dev/null)
    # bash takes '=' and ':' for the end of a word: what stands before them is there already
    local before=""
    case "$word" in
        *[=:]*) before="${word%"${word##*[=:]}"}" ;;
    esac
    COMPREPLY=("${found[@]#"$before"}")
    case "${found[0]}" in
        *=|*/|*.) compopt -o nospace 2>/dev/null ;;
    esac
}
complete -F _twinml twinml
