/* SPDX-License-Identifier: MIT */
/*
 * dlopen(): libc's, with another mode. libc looks at the return address to know whose
 * RUNPATH and name space count, so the way there is a jump.
 */
#include <features.h>

#ifdef __GLIBC__
#if defined(__x86_64__)

	.text
	.globl	dlopen
	.type	dlopen, @function
	.balign	16
dlopen:
	.cfi_startproc
	endbr64
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	pushq	%rsi
	.cfi_adjust_cfa_offset 8
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	movl	%esi, %edi
	call	dlopen_mode
	movl	%eax, 8(%rsp)
	call	dlopen_next
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%rsi
	.cfi_adjust_cfa_offset -8
	popq	%rdi
	.cfi_adjust_cfa_offset -8
	jmp	*%rax
	.cfi_endproc
	.size	dlopen, . - dlopen

#elif defined(__aarch64__)

	.text
	.globl	dlopen
	.type	dlopen, %function
	.balign	16
dlopen:
	.cfi_startproc
	stp	x29, x30, [sp, -32]!
	.cfi_def_cfa_offset 32
	.cfi_offset 29, -32
	.cfi_offset 30, -24
	stp	x0, x1, [sp, 16]
	mov	w0, w1
	bl	dlopen_mode
	str	x0, [sp, 24]
	bl	dlopen_next
	mov	x16, x0
	ldp	x0, x1, [sp, 16]
	ldp	x29, x30, [sp], 32
	.cfi_restore 29
	.cfi_restore 30
	.cfi_def_cfa_offset 0
	br	x16
	.cfi_endproc
	.size	dlopen, . - dlopen

#endif
#endif

	.section .note.GNU-stack, "", %progbits
