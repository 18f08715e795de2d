/* SPDX-License-Identifier: MIT */
/*
 * vfork(): libc's, with a word before and after.
 *
 * The child runs on the parent's memory, stack and rseq area, but the kernel
 * has dropped its registration: for its life, sequences must not be used (see
 * vfork_begin() in slab/percpu.c). The parent resumes when the child has
 * called exec or _exit, and takes that back.
 *
 * The child returns through the caller's frame and may overwrite the return
 * address, so it is kept in a register, which the kernel preserves for the
 * parent.
 */
#if defined(__x86_64__)

	.text
	.globl	vfork
	.type	vfork, @function
	.balign	16
vfork:
	.cfi_startproc
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	vfork_begin
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%rdi
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rdi
	movl	$58, %eax
	syscall
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rip, 0
	testq	%rax, %rax
	jz	1f
	movq	%rax, %rdi
	jmp	vfork_end
1:	xorl	%eax, %eax
	ret
	.cfi_endproc
	.size	vfork, . - vfork

#elif defined(__aarch64__)

	.text
	.globl	vfork
	.type	vfork, %function
	.balign	16
vfork:
	.cfi_startproc
	stp	x29, x30, [sp, -16]!
	.cfi_adjust_cfa_offset 16
	bl	vfork_begin
	ldp	x29, x30, [sp], 16
	.cfi_adjust_cfa_offset -16
	/* clone(CLONE_VM | CLONE_VFORK | SIGCHLD, 0) */
	mov	x0, #0x4111
	mov	x1, #0
	mov	x2, #0
	mov	x3, #0
	mov	x4, #0
	mov	x8, #220
	svc	#0
	cbnz	x0, 1f
	ret
1:	b	vfork_end
	.cfi_endproc
	.size	vfork, . - vfork

#endif

	.section .note.GNU-stack, "", %progbits
