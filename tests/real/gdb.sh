#!/bin/bash
# SPDX-License-Identifier: MIT
#
# gdb in batch mode. First with whatever is preloaded here in gdb itself and,
# through its shell, in the program; then in the program alone, the two ways
# that gdb offers.
# needs: gdb gcc

cat >prog.c <<'END'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	struct entry *next;
	int number;
	char name[20];
};

static struct entry *push(struct entry *head, int number)
{
	struct entry *e = malloc(sizeof(*e));

	e->next = head;
	e->number = number;
	snprintf(e->name, sizeof(e->name), "entry %d", number);
	return e;
}

static int count_entries(const struct entry *e)
{
	if (!e)
		return 0;
	return 1 + count_entries(e->next);
}

static void *churn(void *arg)
{
	for (int i = 1; i < 5000; i++)
		free(memset(malloc(i), 1, i));
	return arg;
}

int main(void)
{
	struct entry *head = NULL;
	pthread_t thread;
	char *text;

	pthread_create(&thread, NULL, churn, NULL);
	for (int i = 1; i <= 5; i++)
		head = push(head, i);
	pthread_join(thread, NULL);
	text = strdup("a string on the heap");
	printf("%d %s\n", count_entries(head), text);
	free(text);
	while (head) {
		struct entry *next = head->next;

		free(head);
		head = next;
	}
	return 3;
}
END
gcc -g -O0 -pthread prog.c -o prog

sed "s/LINE/$(grep -n "free(text)" prog.c | cut -d: -f1)/" >commands <<'END'
set pagination off
set width 0
set print thread-events off
break push if number == 4
run
bt
print *head
print head->next->name
finish
break count_entries if e == 0
continue
bt
up
print e->number
tbreak LINE
continue
print text
# The debugger calls the allocator of the program.
print ((int (*)(const char *)) strlen)(((char *(*)(const char *)) strdup)("called from gdb"))
print $_strlen(text)
call (void) free(((void *(*)(unsigned long)) malloc)(100000))
info breakpoints
next
delete
info sharedlibrary
continue
print $_exitcode
END

# What differs from run to run.
normalise()
{
	sed -E -e '/^\[(Thread debugging|New Thread|Switching to Thread)/d' -e 's/0x[0-9a-f]+/ADDR/g' \
		-e 's/(process|LWP|Thread) [0-9A-Za-z]+/\1 N/g' -e '/^Setting environment/d' \
		-e '/^Using host libthread_db/d' -e '/^warning: |^\(\*\): /d' -e '/ (Yes|No) .*\/|^From  /d'
}

# debug name gdb-arguments...: the program must have had the library loaded
debug()
{
	echo "$1:"
	shift
	gdb -nx -batch "$@" -x commands ./prog >log 2>gdb.err
	grep -qF "$library" log
	normalise <log
}

library=${LD_PRELOAD:-}
debug inherited
unset LD_PRELOAD
debug environment -ex "set environment LD_PRELOAD $library"
debug wrapper -ex "set exec-wrapper env LD_PRELOAD=$library"
