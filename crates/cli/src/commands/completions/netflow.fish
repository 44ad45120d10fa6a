# Completion of netflow for fish, made by `netflow completions fish`. netflow itself knows the words.

function __netflow_words
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    $words[1] complete-words -- $words (commandline --current-token --cut-at-cursor) 2>/dev/null
end

complete --command netflow --no-files --keep-order --arguments '(__netflow_words)'
