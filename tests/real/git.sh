#!/bin/bash
# SPDX-License-Identifier: MIT
#
# git with fixed dates and names, so that every hash repeats: 300 commits,
# branches and merges, clone, fsck, gc, log, blame.
# needs: git gawk

export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=$PWD/config GIT_TERMINAL_PROMPT=0
export GIT_AUTHOR_NAME=Author GIT_AUTHOR_EMAIL=author@example.org
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
cat >config <<-END
	[init]
		defaultBranch = main
	[pack]
		threads = 2
	[gc]
		auto = 0
	[advice]
		detachedHead = false
END

# 260 commits by fast-import: 20 files of up to 500 lines, one changed at a time.
history()
{
	gawk 'BEGIN {
		for (c = 1; c <= 260; c++) {
			f = c % 20
			text[f] = text[f] "line of commit " c "\n"
			for (i = 0; i < 20; i++)
				text[f] = text[f] "  " c * i % 97 " filler " i "\n"
			print "commit refs/heads/main\nmark :" c
			print "committer Author <author@example.org> " 1600000000 + c * 3600 " +0000"
			message = "Commit " c "\n"
			printf "data %d\n%s", length(message), message
			printf "M 644 inline dir%d/file%d.txt\n", f % 4, f
			printf "data %d\n%s\n", length(text[f]), text[f]
		}
	}'
}

git init -q repo
history >stream
cd repo || exit
git fast-import --quiet <../stream
git reset -q --hard
git rev-parse HEAD

for i in $(seq 1 40); do
	if ((i % 10 == 1)); then
		git checkout -q -b "topic$i" main
	fi
	echo "change $i" >>"dir$((i % 4))/topic$i.txt"
	sed -i "$((i % 15 + 1))s/.*/edited by $i/" dir1/file1.txt
	git add -A
	git commit -q -m "Topic change $i"
done
git checkout -q main
for i in 1 11 21 31; do
	git merge -q -X theirs --no-ff -m "Merge topic$i" "topic$i" >merge.log
	rm merge.log
done
git rebase -q -X theirs main topic31 2>../rebase.err
git checkout -q main
git tag -a -m 'A tag' v1
git rev-parse HEAD 'HEAD^{tree}' v1
git rev-list --count --all

git log --stat --format='%H %an %s' | sha256sum
git log -p -M --graph --format=%h | sha256sum
git log -S'commit 77' --format=%s
git blame -s dir1/file1.txt | sha256sum
git diff --stat HEAD~40 HEAD | tail -n 1
git grep -c 'filler 7$' | tail -n 2
git describe --tags
git shortlog -s -n HEAD
git archive HEAD | sha256sum

git gc -q
git fsck --full --strict
git count-objects -v | grep -E '^(in-pack|garbage|prune-packable)'
git repack -q -a -d -f --depth=20 --window=20
git verify-pack -v .git/objects/pack/*.idx | grep -c -E ' (commit|tree|blob|tag) '
cd "$OLDPWD" || exit
git clone -q --no-local repo clone
git -C clone rev-parse HEAD
git -C clone fsck --full
git clone -q --bare --depth 5 "file://$PWD/repo" shallow.git
git -C shallow.git rev-list --count HEAD
git -C repo bundle create -q ../all.bundle --all
git ls-remote all.bundle | sha256sum
