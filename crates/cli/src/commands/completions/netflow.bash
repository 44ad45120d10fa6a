# Completion of netflow for bash, made by `netflow completions bash`. netflow itself knows the words.

_netflow() {
    local program=${1/#\~/$HOME} line=${COMP_LINE:0:COMP_POINT} word kept index count=0
    local -a words=()
    # Bash splits words at colons and equals signs, which prefixes and settings contain: join what no space separates.
    for ((index = 0; index <= COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        if ((index > 0)) && [[ $line != [[:space:]]* ]]; then
            ((index < COMP_CWORD)) || word=$line
            words[count - 1]+=$word
        else
            line=${line#"${line%%[![:space:]]*}"}
            ((index < COMP_CWORD)) || word=$line
            words[count]=$word
            ((++count))
        fi
        line=${line#"$word"}
    done
    word=${words[count - 1]}
    local IFS=$'\n'
    COMPREPLY=($("$program" complete-words -- "${words[@]}" 2>/dev/null | cut -f 1))
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[=:/,] ]]; then
        compopt -o nospace
    fi
    # Readline replaces only what follows the last of these.
    if [[ $word == *[=:]* ]]; then
        kept=${word%"${word##*[=:]}"}
        COMPREPLY=("${COMPREPLY[@]#"$kept"}")
    fi
}

complete -o nosort -F _netflow netflow
