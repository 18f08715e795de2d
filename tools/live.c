/* SPDX-License-Identifier: MIT */
/*
 * A process says in its environment how it is asked: by writing "scan" to the FIFO of leak_control=, or
 * by the signal of leak_signal=, if it does catch that: anyone else would die of it. It answers with
 * a file named by leak_output= or profile_output=. The answer is a file of that name that was not there before, or has
 * changed, and ends with the line that ends a snapshot.
 */
#include "live.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 20

struct target {
	const char *pid;
	char *conf; /* its STELE_CONF */
	char *dir;  /* of its answers */
	char *name; /* of its answers, with %p, %n and %e */
};

/* A small file below /proc, whole, with a 0 behind it; NULL: errno says why. */
static char *read_proc(const char *pid, const char *file, size_t *size)
{
	char *path = xasprintf("/proc/%s/%s", pid, file), *text = NULL;
	FILE *in = fopen(path, "re");
	size_t room = 0, got;

	free(path);
	if (in == NULL)
		return NULL;
	*size = 0;
	do {
		room += 1 << 14;
		text = xrealloc(text, room + 1, 1);
		got = fread(text + *size, 1, room - *size, in);
		*size += got;
	} while (got > 0);
	text[*size] = '\0';
	if (ferror(in)) {
		free(text);
		text = NULL;
	}
	fclose(in);
	return text;
}

/* The process's STELE_CONF, "" if it has none; NULL: it cannot be read, and one line has said so. */
static char *read_conf(const char *pid)
{
	static const char name[] = "STELE_CONF=";
	size_t size;
	char *environment, *at, *conf;

	environment = read_proc(pid, "environ", &size);
	if (environment == NULL) {
		if (errno == ENOENT || errno == ESRCH)
			complain("%s: there is no such process", pid);
		else
			complain("%s: its environment: %s", pid, strerror(errno));
		return NULL;
	}
	for (at = environment; at < environment + size; at += strlen(at) + 1)
		if (strncmp(at, name, sizeof(name) - 1) == 0)
			break;
	conf = xstrdup(at < environment + size ? at + sizeof(name) - 1 : "");
	free(environment);
	return conf;
}

/* The value that counts, the last one; NULL: none. */
static char *setting(const char *conf, const char *name)
{
	size_t len = strlen(name);
	const char *found = NULL;

	for (;;) {
		if (strncmp(conf, name, len) == 0 && conf[len] == '=')
			found = conf + len + 1;
		conf = strchr(conf, ',');
		if (conf == NULL)
			break;
		conf++;
	}
	return found && *found && *found != ',' ? xstrndup(found, strcspn(found, ",")) : NULL;
}

/* With the pid for %p, as it stands in names of files and directories. */
static char *with_pid(const char *name, const char *pid)
{
	char *text = xstrdup(name), *at, *next;

	for (at = text; (at = strchr(at, '%')) != NULL && at[1]; at = text + (at - text) + 2) {
		if (at[1] != 'p')
			continue;
		next = xasprintf("%.*s%s%s", (int)(at - text), text, pid, at + 2);
		at = next + (at - text);
		free(text);
		text = next;
	}
	return text;
}

static bool matches(const char *name, const char *pattern)
{
	for (; *pattern; pattern++) {
		if (*pattern == '%' && pattern[1] == 'n') {
			size_t digits = strspn(name, "0123456789");

			if (digits == 0)
				return false;
			name += digits;
			pattern++;
		} else if (*pattern == '%' && pattern[1] == 'e') {
			for (; *name; name++)
				if (matches(name, pattern + 2))
					return true;
			return matches(name, pattern + 2);
		} else {
			pattern += *pattern == '%' && pattern[1] == '%';
			if (*name++ != *pattern)
				return false;
		}
	}
	return *name == '\0';
}

/* Is the setting there, and not the word that means no? */
static bool is_on(const char *conf, const char *name, const char *no)
{
	char *value = setting(conf, name);
	bool on = value && strcmp(value, no) != 0;

	free(value);
	return on;
}

static bool find_answers(struct target *target)
{
	bool leaks = is_on(target->conf, "leak", "off");
	const char *name = leaks ? "leak_output" : "profile_output";
	char *output = setting(target->conf, name), *path, *slash;

	if (!leaks && !is_on(target->conf, "profile", "0")) {
		free(output);
		complain("%s: it was started without leak=on, leak=exit or profile=", target->pid);
		return false;
	}
	if (output == NULL) {
		complain("%s: it was started without %s=: its reports go to its own stderr",
			 target->pid, name);
		return false;
	}
	path = with_pid(output, target->pid);
	free(output);
	slash = strrchr(path, '/');
	target->name = xstrdup(slash ? slash + 1 : path);
	if (slash)
		slash[slash == path] = '\0';
	if (slash && *path == '/')
		target->dir = xstrdup(path);
	else
		target->dir = xasprintf("/proc/%s/cwd/%s", target->pid, slash ? path : "");
	free(path);
	return true;
}

struct seen {
	char *name;
	struct stat st;
};
typedef VEC(struct seen) listing;

static void list_answers(const struct target *target, listing *list)
{
	DIR *d = opendir(target->dir);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		struct stat st;
		struct seen *seen;

		if (!matches(entry->d_name, target->name) ||
		    fstatat(dirfd(d), entry->d_name, &st, 0) != 0 || !S_ISREG(st.st_mode))
			continue;
		seen = vec_push(list);
		seen->name = xstrdup(entry->d_name);
		seen->st = st;
	}
	if (d)
		closedir(d);
}

static void free_listing(listing *list)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		free(list->v[i].name);
	vec_free(list);
}

/* Was the file there before, as it is? */
static bool is_old(const listing *before, const struct seen *now)
{
	size_t i;

	for (i = 0; i < before->n; i++) {
		const struct seen *old = &before->v[i];

		if (strcmp(old->name, now->name) == 0)
			return old->st.st_ino == now->st.st_ino &&
			       old->st.st_size == now->st.st_size &&
			       old->st.st_mtim.tv_sec == now->st.st_mtim.tv_sec &&
			       old->st.st_mtim.tv_nsec == now->st.st_mtim.tv_nsec;
	}
	return false;
}

/* Is its last line the one that ends a snapshot? */
static bool is_complete(const char *path, off_t size)
{
	char tail[64] = "", *end;
	size_t want = sizeof(tail) - 1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = 0;

	if (fd >= 0) {
		got = pread(fd, tail, want, size > (off_t)want ? size - (off_t)want : 0);
		close(fd);
	}
	if (got <= 0 || tail[got - 1] != '\n')
		return false;
	tail[got - 1] = '\0';
	end = strrchr(tail, '\n');
	return end && strncmp(end + 1, "end ", 4) == 0;
}

static bool is_older(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* The first file that is new: the process may have gone on and ended meanwhile. */
static char *new_answer(const struct target *target, const listing *before)
{
	listing now = { 0 };
	const struct seen *first = NULL;
	char *answer = NULL;
	size_t i;

	list_answers(target, &now);
	for (i = 0; i < now.n; i++) {
		const struct seen *seen = &now.v[i];

		if (!is_old(before, seen) &&
		    (first == NULL || is_older(&seen->st.st_mtim, &first->st.st_mtim)))
			first = seen;
	}
	if (first) {
		answer = xasprintf("%s/%s", target->dir, first->name);
		if (!is_complete(answer, first->st.st_size)) {
			free(answer);
			answer = NULL;
		}
	}
	free_listing(&now);
	return answer;
}

/* Does the process catch the signal? */
static bool catches(const char *pid, int sig)
{
	size_t size;
	char *status = read_proc(pid, "status", &size), *at;
	unsigned long long caught = 0;

	at = status ? strstr(status, "\nSigCgt:") : NULL;
	if (at)
		caught = strtoull(at + 8, NULL, 16);
	free(status);
	return sig > 0 && sig <= 64 && (caught >> (sig - 1) & 1);
}

static bool ask_by_signal(const char *pid, const char *number)
{
	int sig = atoi(number);

	if (!catches(pid, sig)) {
		complain("%s: it does not catch signal %d: Stele is not in it", pid, sig);
		return false;
	}
	if (kill((pid_t)atol(pid), sig) == 0)
		return true;
	complain("%s: %s", pid, strerror(errno));
	return false;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000 }, NULL);
}

static bool ask_by_control(const struct target *target, const char *control, uint64_t *timeout_ms)
{
	char *name = with_pid(control, target->pid);
	char *path = *name == '/' ? xstrdup(name) : xasprintf("/proc/%s/cwd/%s", target->pid, name);
	int fd;
	bool fine;

	/* between two requests nobody has it open for a moment */
	while ((fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0 && errno == ENXIO &&
	       *timeout_ms > POLL_MS) {
		nap();
		*timeout_ms -= POLL_MS;
	}
	fine = fd >= 0 && write(fd, "scan\n", 5) == 5;
	if (!fine)
		complain("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	free(path);
	free(name);
	return fine;
}

static bool ask(const struct target *target, uint64_t *timeout_ms)
{
	char *control = setting(target->conf, "leak_control");
	char *sig = setting(target->conf, "leak_signal");
	bool fine = false;

	if (control)
		fine = ask_by_control(target, control, timeout_ms);
	else if (sig)
		fine = ask_by_signal(target->pid, sig);
	else
		complain("%s: it was started without leak_signal= and leak_control=", target->pid);
	free(control);
	free(sig);
	return fine;
}

static char *wait_for_answer(const struct target *target, const listing *before,
			     uint64_t timeout_ms)
{
	char *answer;

	for (;;) {
		answer = new_answer(target, before);
		if (answer)
			return answer;
		if (timeout_ms < POLL_MS || kill((pid_t)atol(target->pid), 0) != 0)
			break;
		nap();
		timeout_ms -= POLL_MS;
	}
	complain("%s: it wrote no snapshot to %s", target->pid, target->dir);
	return NULL;
}

char *live_snapshot(const char *pid, uint64_t timeout_ms)
{
	struct target target = { .pid = pid, .conf = read_conf(pid) };
	listing before = { 0 };
	char *answer = NULL;

	if (target.conf && find_answers(&target)) {
		list_answers(&target, &before);
		if (ask(&target, &timeout_ms))
			answer = wait_for_answer(&target, &before, timeout_ms);
	}
	free_listing(&before);
	free(target.conf);
	free(target.dir);
	free(target.name);
	return answer;
}
