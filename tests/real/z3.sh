#!/bin/bash
# SPDX-License-Identifier: MIT
#
# z3 on problems with one answer: arithmetic, bit-vectors, a puzzle, and one
# that has none. It keeps the size of each block in a header of its own.
# needs: z3 gawk

# Queens with the first three fixed: the rest follows or is proven impossible.
queens()
{
	gawk -v size="$1" -v first="$2" 'BEGIN {
		for (i = 0; i < size; i++)
			print "(declare-const q" i " Int)(assert (and (<= 0 q" i ") (< q" i " " size ")))"
		for (i = 0; i < size; i++)
			for (j = 0; j < i; j++)
				print "(assert (and (not (= q" i " q" j ")) (not (= (- q" i " q" j ") " i - j \
					")) (not (= (- q" i " q" j ") " j - i "))))"
		n = split(first, f, " ")
		for (i = 1; i <= n; i++)
			print "(assert (= q" i - 1 " " f[i] "))"
		print "(check-sat)"
	}'
}

queens 8 "0 4" >q8.smt2
queens 6 "0" >q6.smt2
z3 q8.smt2
z3 q6.smt2

z3 -in <<'END'
(declare-const x (_ BitVec 20))
(declare-const y (_ BitVec 20))
(assert (= (bvmul x y) #xb67e3))
(assert (bvult #x00001 x))
(assert (bvult x #x00400))
(assert (bvult x y))
(assert (bvult y #x00400))
(check-sat)
(eval (bvmul x y))
END
z3 -in <<'END'
(declare-const a Int)
(declare-const b Int)
(declare-const c Real)
(assert (and (> a 0) (> b a) (= (+ (* 17 a) (* 23 b)) 1000) (< a 25)))
(assert (= c (/ (+ a b) 3.0)))
(check-sat)
(eval a)
(eval b)
(eval c)
(push)
(assert (> a b))
(check-sat)
(pop)
(declare-fun f (Int) Int)
(assert (forall ((n Int)) (=> (> n 0) (= (f n) (+ n (f (- n 1)))))))
(assert (= (f 0) 0))
(assert (not (= (f 12) 78)))
(check-sat)
END

# Pigeons: 9 into 8 holes, by cases.
gawk 'BEGIN {
	n = 8
	for (p = 0; p <= n; p++) {
		clause = ""
		for (h = 0; h < n; h++) {
			print "(declare-const p" p "_" h " Bool)"
			clause = clause " p" p "_" h
		}
		print "(assert (or" clause "))"
	}
	for (h = 0; h < n; h++)
		for (p = 0; p <= n; p++)
			for (o = 0; o < p; o++)
				print "(assert (or (not p" p "_" h ") (not p" o "_" h ")))"
	print "(check-sat)"
}' >pigeons.smt2
z3 pigeons.smt2
z3 sat.threads=2 pigeons.smt2
