/* SPDX-License-Identifier: MIT */
/*
 * Three pieces that C cannot express: starting a thread on its own stack,
 * calling on another stack, and returning from a signal handler.
 */
#if defined(__x86_64__)

	.text
/* long os_clone(flags, stack, ctid, tls, fn, arg) */
	.globl	os_clone
	.hidden	os_clone
	.type	os_clone, @function
	.balign	16
os_clone:
	.cfi_startproc
	movq	%r8, -8(%rsi)
	movq	%r9, -16(%rsi)
	subq	$16, %rsi
	movq	%rcx, %r8
	movq	%rdx, %r10
	xorl	%edx, %edx
	movl	$56, %eax
	syscall
	testq	%rax, %rax
	jz	1f
	ret
1:	.cfi_undefined %rip
	xorl	%ebp, %ebp
	popq	%rdi
	popq	%rax
	call	*%rax
	xorl	%edi, %edi
	movl	$60, %eax
	syscall
	hlt
	.cfi_endproc
	.size	os_clone, . - os_clone

/* void os_run_on(top, fn, arg, regs) */
	.globl	os_run_on
	.hidden	os_run_on
	.type	os_run_on, @function
	.balign	16
os_run_on:
	.cfi_startproc
	movq	%rbx, (%rcx)
	movq	%rbp, 8(%rcx)
	movq	%r12, 16(%rcx)
	movq	%r13, 24(%rcx)
	movq	%r14, 32(%rcx)
	movq	%r15, 40(%rcx)
	leaq	8(%rsp), %rax
	movq	%rax, 48(%rcx)
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	movq	%rdi, %rsp
	movq	%rdx, %rdi
	call	*%rsi
	movq	%rbp, %rsp
	popq	%rbp
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	os_run_on, . - os_run_on

/* The very bytes by which unwinders know a signal frame. */
	.globl	os_sigreturn
	.hidden	os_sigreturn
	.type	os_sigreturn, @function
	.balign	16
	nop
os_sigreturn:
	movq	$15, %rax
	syscall
	.size	os_sigreturn, . - os_sigreturn

#elif defined(__aarch64__)

	.text
	.globl	os_clone
	.hidden	os_clone
	.type	os_clone, %function
	.balign	16
os_clone:
	.cfi_startproc
	stp	x4, x5, [x1, -16]!
	mov	x9, x2
	mov	x2, 0
	/* flags, stack, ptid, tls, ctid */
	mov	x4, x9
	mov	x8, 220
	svc	#0
	cbz	x0, 1f
	ret
1:	.cfi_undefined x30
	mov	x29, 0
	ldp	x1, x0, [sp], 16
	blr	x1
	mov	x0, 0
	mov	x8, 93
	svc	#0
	brk	#0
	.cfi_endproc
	.size	os_clone, . - os_clone

	.globl	os_run_on
	.hidden	os_run_on
	.type	os_run_on, %function
	.balign	16
os_run_on:
	.cfi_startproc
	stp	x19, x20, [x3]
	stp	x21, x22, [x3, 16]
	stp	x23, x24, [x3, 32]
	stp	x25, x26, [x3, 48]
	stp	x27, x28, [x3, 64]
	stp	x29, x30, [x3, 80]
	mov	x9, sp
	str	x9, [x3, 96]
	stp	x29, x30, [sp, -16]!
	.cfi_adjust_cfa_offset 16
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	mov	x29, sp
	.cfi_def_cfa_register x29
	mov	sp, x0
	mov	x0, x2
	blr	x1
	mov	sp, x29
	ldp	x29, x30, [sp], 16
	ret
	.cfi_endproc
	.size	os_run_on, . - os_run_on

#endif

	.section .note.GNU-stack, "", %progbits
