/* SPDX-License-Identifier: MIT */
/* stele_kmalloc() and its relatives; one family with malloc(). */
#include <malloc.h>

#include <stele.h>

#include "tap.h"

#define K STELE_GFP_KERNEL

static void sizes(void)
{
	static const size_t some[] = { 1, 8, 16, 17, 96, 128, 129, 1024, 1025, 4096, 32768, 32769,
				       100000, 1 << 20, 5 << 20 };
	bool usable = true, aligned = true, zero = true;

	for (size_t i = 0; i < ARRAY_LEN(some); i++) {
		size_t n = some[i], pow2 = n & -n;
		char *p = stele_kmalloc(n, K), *z = stele_kzalloc(n, K);

		MUST(p && z);
		zero &= all_bytes(z, 0, n);
		memset(p, 0x55, n);
		memset(z, 0x55, n);
		usable &= stele_ksize(p) >= n && malloc_usable_size(p) == stele_ksize(p) &&
			  stele_kmalloc_size_roundup(n) >= n;
		aligned &= (uintptr_t)p % (pow2 > 4096 ? 4096 : pow2) == 0 &&
			   (uintptr_t)p % 16 == 0;
		stele_kfree(p);
		stele_kfree(z);
		/* used memory, this time */
		z = stele_kzalloc(n, K);
		zero &= all_bytes(z, 0, n);
		stele_kfree(z);
	}
	OK(usable, "all that ksize() says may be used");
	OK(aligned, "blocks have the alignment of their size");
	OK(zero, "kzalloc: zeros, also in memory that was used");
	OK(stele_kmalloc_size_roundup(100) == stele_ksize(hide(stele_kmalloc(100, K))),
	   "kmalloc_size_roundup foretells ksize");
}

static void nothing(void)
{
	void *p = stele_kmalloc(hide_size(0), K);

	OK(p == STELE_ZERO_SIZE_PTR && STELE_ZERO_OR_NULL_PTR(p), "kmalloc(0) is ZERO_SIZE_PTR");
	OK(stele_kzalloc(hide_size(0), K) == p && stele_kcalloc(0, 8, K) == p &&
	   stele_kvmalloc(hide_size(0), K) == p, "and so are its relatives'");
	OK(stele_ksize(p) == 0 && stele_ksize(NULL) == 0 && malloc_usable_size(hide(p)) == 0,
	   "it has no bytes");
	stele_kfree(p);
	stele_kfree(NULL);
	stele_kfree_sensitive(p);
	stele_kfree_sensitive(NULL);
	stele_kfree_nolock(p);
	stele_kfree_nolock(NULL);
	stele_kvfree(p);
	free(hide(p));
	OK(true, "every function that frees takes it, free() too, and NULL");
	p = realloc(hide(p), hide_size(100));
	OK(p && malloc_usable_size(p) >= 100, "realloc() makes a block of it");
	free(p);
}

static void arrays(void)
{
	size_t big = (size_t)1 << 60;
	int *a = stele_kmalloc_array(10, sizeof(*a), K);
	char *z = stele_kcalloc(50, 7, K);

	OK(a && stele_ksize(a) >= 40 && z && all_bytes(z, 0, 350), "arrays");
	errno = 0;
	OK(!stele_kmalloc_array(hide_size(big), 32, K) && errno == ENOMEM, "kmalloc_array: overflow");
	errno = 0;
	OK(!stele_kcalloc(hide_size(big), 32, K) && errno == ENOMEM, "kcalloc: overflow");
	errno = 0;
	OK(!stele_krealloc_array(a, hide_size(big), 32, K) && errno == ENOMEM,
	   "krealloc_array: overflow leaves the array");
	a[9] = 9;
	a = stele_krealloc_array(a, 1000, sizeof(*a), K);
	OK(a && a[9] == 9, "krealloc_array: contents move along");
	stele_kfree(a);
	stele_kfree(z);
	errno = 0;
	OK(!stele_kmalloc(hide_size(SIZE_MAX), K | STELE_GFP_NOWARN) && errno == ENOMEM,
	   "no size is too large to be refused");
	errno = 0;
	OK(!stele_kvzalloc(hide_size(PTRDIFF_MAX), K | STELE_GFP_NOWARN) && errno == ENOMEM,
	   "PTRDIFF_MAX neither");
}

static void resizing(void)
{
	char *p = stele_krealloc(NULL, 100, K), *q;
	bool kept = true;

	OK(p != NULL, "krealloc(NULL) is kmalloc");
	memset(p, 7, 100);
	for (size_t n = 200; n < 3 * MIB; n = n * 3 / 2) {
		p = stele_krealloc(p, n, K);
		MUST(p);
		kept &= all_bytes(p, 7, 100);
		p[n - 1] = 1;
	}
	OK(kept, "contents stay while it grows to 3 MiB");
	p = stele_krealloc(p, 100, K);
	OK(p && all_bytes(p, 7, 100), "and when it shrinks again");
	q = stele_krealloc(p, hide_size((size_t)1 << 50), K | STELE_GFP_NOWARN);
	OK(!q && errno == ENOMEM && all_bytes(p, 7, 100), "what cannot grow is as it was");
	OK(stele_krealloc(p, 0, K) == STELE_ZERO_SIZE_PTR, "krealloc(p, 0) frees");
	OK((p = stele_krealloc(STELE_ZERO_SIZE_PTR, 10, K)) != NULL, "ZERO_SIZE_PTR grows");
	stele_kfree(p);

	p = stele_kzalloc(100, K);
	for (size_t n = 200; n < 1 * MIB; n *= 2) {
		size_t had = stele_ksize(p);

		p = stele_krealloc(p, n, K | STELE_GFP_ZERO);
		MUST(p);
		kept &= stele_ksize(p) == had || all_bytes(p + had, 0, n - had);
		memset(p, 0xff, stele_ksize(p));
	}
	OK(kept, "__GFP_ZERO: what is added is zero");
	stele_kfree(p);
}

static void family(void)
{
	void *mixed[6];
	char *p;

	free(hide(stele_kmalloc(100, K)));
	free(hide(stele_kmalloc(MIB, K)));
	stele_kfree(hide(malloc(100)));
	stele_kfree(hide(malloc(MIB)));
	p = realloc(hide(stele_kmalloc(100, K)), hide_size(2000));
	stele_kfree(p);
	p = stele_krealloc(hide(malloc(100)), 50000, K);
	free(p);
	stele_kfree(hide(aligned_alloc(4096, 8192)));
	OK(true, "malloc's and kmalloc's functions take each other's blocks");
	for (size_t i = 0; i < ARRAY_LEN(mixed); i++)
		mixed[i] = i == 2 ? NULL : stele_kmalloc(i == 4 ? MIB : 50 + 20 * (i / 2), K);
	stele_kfree_bulk(ARRAY_LEN(mixed), mixed);
	OK(true, "kfree_bulk takes blocks of all sizes, and NULL");
}

static void strings(void)
{
	static const char text[] = "a line of text";
	char *s;

	s = stele_kmemdup(text, sizeof(text), K);
	OK(s && !strcmp(s, text), "kmemdup");
	stele_kfree(s);
	s = stele_kmemdup_nul(text, 6, K);
	OK(s && !strcmp(s, "a line"), "kmemdup_nul");
	stele_kfree(s);
	s = stele_kstrdup(text, K);
	OK(s && !strcmp(s, text), "kstrdup");
	stele_kfree(s);
	s = stele_kstrndup(text, 6, K);
	OK(s && !strcmp(s, "a line"), "kstrndup");
	stele_kfree(s);
	s = stele_kstrndup("ab", 600, K);
	OK(s && !strcmp(s, "ab") && stele_ksize(s) < 100, "kstrndup: no more than there is");
	stele_kfree(s);
	OK(!stele_kstrdup(NULL, K) && !stele_kmemdup(NULL, 5, K) && !stele_kstrndup(NULL, 5, K),
	   "copies of nothing");
	s = stele_kasprintf(K, "%s %05d %.2f", "x", 42, 1.5);
	OK(s && !strcmp(s, "x 00042 1.50"), "kasprintf");
	stele_kfree(s);
	s = stele_kasprintf(K, "%2000s", "y");
	OK(s && strlen(s) == 2000 && s[1999] == 'y', "kasprintf: any length");
	stele_kfree(s);
	s = stele_kvmemdup(text, sizeof(text), K);
	OK(s && !strcmp(s, text), "kvmemdup");
	stele_kvfree_sensitive(s, sizeof(text));
}

static void second_family(void)
{
	char *p = stele_kvmalloc(10 * MIB, K), *z = stele_kvzalloc(3 * MIB, K);
	char *a = stele_kvcalloc(1000, 1000, K), *b = stele_kvmalloc_array(1000, 10, K);

	OK(p && z && a && b && all_bytes(z, 0, 3 * MIB) && all_bytes(a, 0, 1000000), "kv*");
	p[10 * MIB - 1] = 1;
	p = stele_kvrealloc(p, 20 * MIB, K);
	OK(p && p[10 * MIB - 1] == 1, "kvrealloc");
	stele_kvfree(p);
	stele_kvfree(z);
	stele_kfree(a);
	free(b);
	errno = 0;
	OK(!stele_kvmalloc_array(hide_size(SIZE_MAX), 2, K) && errno == ENOMEM, "overflow");
}

/* The block may be handed out again at once: look at what was left there. */
static void sensitive(void)
{
	char *p = stele_kmalloc(64, K), *q;

	memset(p, 's', 64);
	stele_kfree_sensitive(p);
	q = stele_kmalloc(64, K);
	OK(p == q && all_bytes(q, 0, 64), "kfree_sensitive leaves zeros behind");
	stele_kfree(q);
}

int main(void)
{
	sizes();
	nothing();
	arrays();
	resizing();
	family();
	strings();
	second_family();
	sensitive();
	return tap_end();
}
