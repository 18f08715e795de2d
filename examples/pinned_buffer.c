/* SPDX-License-Identifier: MIT */
/*
 * Pinned memory: a buffer that is in RAM, stays there, and is nobody else's.
 *
 * Good for the buffers of real-time loops (no page fault when it matters), for
 * keys (never written to swap, not in the memory of a child), for buffers that are
 * registered with a device or with io_uring, and with PIN_HUGE for large tables
 * that are walked at random. The kernel's drivers get such memory from
 * dma_alloc_coherent(). Physical addresses are told to the privileged alone, and
 * the system may still move locked pages: for real DMA register the buffer with
 * the driver (VFIO, RDMA), which pins it for the device.
 *
 *	cc pinned_buffer.c $(pkg-config --cflags --libs stele)
 */
#include <stele.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define SIZE	((size_t)4 << 20)

static long faults(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_minflt + ru.ru_majflt;
}

int main(void)
{
	uint64_t phys;
	char *plain, *pinned;
	long first, second;

	pinned = stele_alloc_pinned(SIZE, STELE_PIN_HUGE, &phys);
	if (!pinned) {
		/* 77: not possible here. The limit is RLIMIT_MEMLOCK; see ulimit -l. */
		fprintf(stderr, "4 MiB may not be locked here: %s\n", strerror(errno));
		return errno == ENOMEM || errno == EPERM || errno == EAGAIN ? 77 : EXIT_FAILURE;
	}
	plain = stele_vmalloc(SIZE);
	if (!plain)
		return EXIT_FAILURE;

	first = faults();
	memset(plain, 1, SIZE);
	first = faults() - first;
	second = faults();
	memset(pinned, 1, SIZE);
	second = faults() - second;
	printf("first use of 4 MiB: %ld page faults, of a pinned buffer: %ld\n", first, second);

	if (phys)
		printf("it is at physical address 0x%llx\n", (unsigned long long)phys);
	else
		printf("where it is in RAM only the privileged are told\n");

	/* What there is, as in /proc/vmallocinfo of the kernel. */
	fflush(stdout);
	stele_vmallocinfo(1);

	stele_vfree(plain);
	stele_free_pinned(pinned);
	return second == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
