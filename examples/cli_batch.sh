#!/bin/sh
# A batch from the command line: one picture for each line of a file.
#
#   execution-arrow sandbox --port 8600        in another terminal, or the key of a provider in the environment
#   SANDBOX=http://127.0.0.1:8600 sh examples/cli_batch.sh prompts.txt acct_1
#
# Run it again after anything (Ctrl-C, a full disk, no credits): a line that was made is neither made nor paid
# again, because its key is its number in the file. The record of each is a line of results.jsonl.
set -u
prompts=$1 account=$2 model=${MODEL:-bfl/flux-schnell} number=0 failed=0
: >results.jsonl

while IFS= read -r prompt <&3; do
    number=$((number + 1))
    execution-arrow generate "$model" "generation_prompt=$prompt" \
        --account "$account" --key "$(basename "$prompts")-$number" --json \
        ${SANDBOX:+--sandbox "$SANDBOX"} >>results.jsonl
    case $? in
        0) ;;
        1) failed=$((failed + 1)) ;;                      # refused, or nobody could make it: go on
        3) echo "line $number takes longer: run this again later" >&2 ;;
        *) exit 1 ;;
    esac
done 3<"$prompts"

[ "$failed" -eq 0 ] || { echo "$failed of $number lines failed" >&2; exit 1; }
