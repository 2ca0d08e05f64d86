#compdef twinml
# Tab completion of twinml for zsh. Put into ~/.zshrc after compinit:  eval "$(twinml completion zsh)"
_twinml() {
    local -a found open whole
    found=("${(@f)$(${words[1]} completion --line "${(j: :)words[1,CURRENT-1]} ${PREFIX}" 2>/dev/null)}")
    open=(${(M)found:#*(=|/|.)})
    whole=(${found:#*(=|/|.)})
    (( ${#open} )) && compadd -Q -S '' -- "${open[@]}"
    (( ${#whole} )) && compadd -Q -- "${whole[@]}"
}
compdef _twinml twinml
