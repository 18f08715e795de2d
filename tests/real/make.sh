#!/bin/bash
# SPDX-License-Identifier: MIT
#
# make -j2 over thirty generated files, nothing to do, one file touched, and a
# makefile with many rules and functions.
# needs: make gcc

for i in $(seq 1 30); do
	printf '#include "all.h"\nint f%d(int x) { return x * %d + 1; }\n' "$i" "$i" >"f$i.c"
	echo "int f$i(int);"
done >all.h
{
	echo '#include <stdio.h>'
	echo '#include "all.h"'
	echo 'int main(void) { int s = 0;'
	for i in $(seq 1 30); do
		echo "s += f$i(s & 15);"
	done
	printf '%s\n' 'printf("%d\n", s); return 0; }'
} >main.c
cat >Makefile <<'END'
sources := $(sort $(wildcard f*.c) main.c)
objects := $(sources:.c=.o)

prog: $(objects)
	@echo LD $@ $(words $^)
	@gcc -o $@ $^

%.o: %.c all.h
	@gcc -O1 -c -o $@ $<
	@echo CC $@

clean:
	rm -f prog $(objects)
END

make -j2 | sort
./prog
make -j2
sed -i 's/ + 1;/ + 2;/' f7.c
touch -d '-1 hour' f7.o
make -j2 -O
./prog
make -s clean
find . -name '*.o' | wc -l

cat >Rules <<'END'
numbers := $(shell seq 1 3000)
define rule
target$(1): $(if $(filter-out 1 2 3,$(1)),dep$(1))
dep$(1):
all-$(words $(wordlist 1,$(1),x x x x x)):: target$(1)
endef
$(foreach n,$(numbers),$(eval $(call rule,$(n))))
joined := $(subst $() $(),+,$(addprefix n,$(numbers)))
all: all-1 all-5
	@echo $(words $(subst +, ,$(joined))) $(words $^)
.PHONY: all
END
make -f Rules all
make -f Rules -p -n all | grep -c '^target'
make -j2 -k -f - 2>errors <<'END' || echo "make: $?"
all: a b c
a c:
	@echo made $@ >$@.out
b:
	@false
END
cat a.out c.out
