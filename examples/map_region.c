/* SPDX-License-Identifier: MIT */
/*
 * Mapped regions: a flight recorder that outlives its program.
 *
 * stele_map_region() maps part of a file or of a device: the registers of a
 * UIO device, a PCI resource in /sys, persistent memory; in the kernel that is
 * ioremap(). The offset may be any, guard pages stand on both sides (a driver that
 * runs off the end of a register block stops there), and stele_vmallocinfo() lists
 * what is mapped.
 *
 * Here it is a file: a ring of records behind a header that somebody else owns. A
 * process writes its last words there with plain stores, no system call, and dies;
 * they are in the file.
 *
 *	cc map_region.c $(pkg-config --cflags --libs stele)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE		/* memfd_create() */
#endif
#include <stele.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEADER	100		/* bytes of the file that are not ours */
#define RECORDS	64

struct record {
	unsigned long number;	/* 0: never written; the last to be stored */
	char text[56];
};

static void record(struct record *ring, unsigned long number, const char *text)
{
	struct record *r = &ring[number % RECORDS];

	snprintf(r->text, sizeof(r->text), "%s %lu", text, number);
	__atomic_store_n(&r->number, number, __ATOMIC_RELEASE);
}

/* The program that will not come back. */
static void doomed(int fd)
{
	struct record *ring = stele_map_region(fd, HEADER, RECORDS * sizeof(*ring));

	if (!ring)
		_exit(EXIT_FAILURE);
	for (unsigned long n = 1; n <= 1000; n++)
		record(ring, n, "altitude");
	/* No flush, no close. */
	_exit(3);
}

int main(void)
{
	int fd = memfd_create("flight-recorder", MFD_CLOEXEC), status;
	const struct record *ring, *last;
	pid_t pid;

	if (fd < 0 || ftruncate(fd, HEADER + RECORDS * sizeof(*ring)))
		return EXIT_FAILURE;
	pid = fork();
	if (pid == 0)
		doomed(fd);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 3)
		return EXIT_FAILURE;

	ring = stele_map_region(fd, HEADER, RECORDS * sizeof(*ring));
	if (!ring)
		return EXIT_FAILURE;
	last = &ring[0];
	for (size_t i = 1; i < RECORDS; i++) {
		if (ring[i].number > last->number)
			last = &ring[i];
	}
	printf("the last of %lu records: \"%s\"\n", last->number, last->text);
	status = last->number == 1000 && !strcmp(last->text, "altitude 1000");

	stele_unmap_region((void *)ring);
	close(fd);
	return status ? EXIT_SUCCESS : EXIT_FAILURE;
}
