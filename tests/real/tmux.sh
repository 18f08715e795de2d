#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A tmux server of our own: windows, panes, a long history, buffers, the end.
# needs: tmux

export TMUX_TMPDIR=$PWD
# Without a prompt, what is typed early does not mix with what is printed.
shell="exec env PS1= sh"
tm()
{
	tmux -L test -f /dev/null "$@"
}
trap 'tm kill-server 2>/dev/null || true' EXIT

# wait_for window text: until the text is the start of a line there
wait_for()
{
	for _ in $(seq 1 300); do
		tm capture-pane -p -t "$1" -S - -J | grep -q "^$2" && return
		sleep 0.05
	done
	echo "no $2 in $1"
	return 1
}

tm new-session -d -s main -x 100 -y 30 "$shell"
tm set-option -g history-limit 20000
tm new-window -d -t main:1 "$shell"
tm send-keys -t main:1 'seq -f "row %05g of a long history" 1 6000; echo end-"of-rows"' Enter
wait_for main:1 end-of-rows
tm capture-pane -p -t main:1 -S - | grep '^row' | sha256sum
tm capture-pane -p -t main:1 -S - | grep -c '^row'

for i in 1 2 3 4 5; do
	pane=$(tm split-window -d -P -F '#{pane_id}' -t main:0 "$shell")
	tm select-layout -t main:0 tiled
	tm send-keys -t "$pane" "for n in 1 2 3; do echo pane-$i-\$((n * 7)); done" Enter
	wait_for "$pane" "pane-$i-21"
	tm capture-pane -p -t "$pane" -S - | grep "^pane" | sort
done
tm list-panes -t main:0 -F '#{pane_index} #{pane_width}x#{pane_height}'
for i in $(seq 1 20); do
	tm resize-window -t main:1 -x $((60 + i * 5)) -y $((20 + i))
done
tm capture-pane -p -t main:1 -S - -J | grep '^row' | sort -u | wc -l

seq 1 20000 >data
for i in $(seq 1 20); do
	tm load-buffer -b "buffer$i" data
done
tm show-buffer -b buffer7 | cmp - data
tm list-buffers -F '#{buffer_name} #{buffer_size}' | sort | tail -n 2
tm kill-pane -a -t main:0.0
tm list-windows -F '#{window_index} #{window_panes}'
pid=$(tm display-message -p '#{pid}')
tm kill-server
for _ in $(seq 1 200); do
	[ -d "/proc/$pid" ] || break
	sleep 0.05
done
[ ! -d "/proc/$pid" ] && echo "server gone"
