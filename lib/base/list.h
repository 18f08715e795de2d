/* SPDX-License-Identifier: MIT */
/* Circular doubly linked list, linked through a member of the element. */
#ifndef STELE_BASE_LIST_H
#define STELE_BASE_LIST_H

#include "base/compiler.h"

struct list {
	struct list *next, *prev;	/* a head alone points to itself */
};

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_insert(struct list *e, struct list *prev, struct list *next)
{
	e->next = next;
	e->prev = prev;
	prev->next = e;
	next->prev = e;
}

static inline void list_add(struct list *e, struct list *head)
{
	list_insert(e, head, head->next);
}

static inline void list_add_tail(struct list *e, struct list *head)
{
	list_insert(e, head->prev, head);
}

static inline void list_del(struct list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	e->next = e->prev = NULL;
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_last(head, type, member) list_entry((head)->prev, type, member)

#endif
