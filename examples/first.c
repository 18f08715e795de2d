/* SPDX-License-Identifier: MIT */
/*
 * A program that is linked with Stele: malloc() and its relatives are Stele's,
 * nothing has to be initialised, and <stele.h> is needed only for what the
 * standard functions do not offer.
 *
 *	cc first.c $(pkg-config --cflags --libs stele)
 */
#include <stele.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	char *text, *longer;
	void *page;

	printf("stele %s\n", stele_version());

	/* A block may have more room than was asked for; all of it may be used. */
	text = malloc(100);
	if (!text)
		return EXIT_FAILURE;
	strcpy(text, "a hundred bytes");
	printf("malloc(100) gives %zu bytes\n", malloc_usable_size(text));

	/* The block may move; if there is no memory, the old one is still there. */
	longer = realloc(text, 100000);
	if (!longer) {
		free(text);
		return EXIT_FAILURE;
	}
	printf("after realloc(): \"%s\"\n", longer);
	free(longer);

	if (posix_memalign(&page, 4096, 4096))
		return EXIT_FAILURE;
	printf("the page is aligned: %s\n", (size_t)page % 4096 ? "no" : "yes");
	free(page);

	/* Give what is free back to the system. */
	malloc_trim(0);
	printf("%zu bytes are in use\n", mallinfo2().uordblks);
	return EXIT_SUCCESS;
}
