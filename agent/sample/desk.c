// SPDX-License-Identifier: Apache-2.0
#include "sample/desk.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* One question. It lies on its asker's stack: the asker leaves only when it is answered. */
struct ticket {
	struct ticket *next;
	bool is_status;
	enum kind kind;
	pid_t pid;
	struct snapshot_set *set;
	struct status *status;
	char reason[DESK_REASON_BYTES];
	int err;
	bool is_answered;
};

struct desk {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct ticket *first, **end; /* by age; the one being served is no longer among them */
	size_t waiting;
	bool is_closed;
	int fd;
};

int desk_new(struct desk **out)
{
	struct desk *desk = calloc(1, sizeof(*desk));
	int err;

	if (!desk)
		return -ENOMEM;
	desk->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (desk->fd < 0) {
		err = -errno;
		free(desk);
		return err;
	}
	pthread_mutex_init(&desk->lock, NULL);
	pthread_cond_init(&desk->answered, NULL);
	desk->end = &desk->first;
	*out = desk;
	return 0;
}

void desk_free(struct desk *desk)
{
	if (!desk)
		return;
	close(desk->fd);
	pthread_cond_destroy(&desk->answered);
	pthread_mutex_destroy(&desk->lock);
	free(desk);
}

int desk_fd(const struct desk *desk)
{
	return desk->fd;
}

static struct ticket *take_first(struct desk *desk)
{
	struct ticket *ticket = desk->first;

	if (!ticket)
		return NULL;
	desk->first = ticket->next;
	if (!desk->first)
		desk->end = &desk->first;
	desk->waiting--;
	return ticket;
}

static void answer(struct desk *desk, struct ticket *ticket, int err)
{
	ticket->err = err;
	ticket->is_answered = true;
	pthread_cond_broadcast(&desk->answered);
}

/* Those that ask meanwhile wake desk_fd() again, so that the pipeline's thread gets its turn. */
void desk_serve(struct desk *desk, const struct desk_source *source)
{
	struct ticket *ticket;
	eventfd_t count;
	size_t most;

	pthread_mutex_lock(&desk->lock);
	eventfd_read(desk->fd, &count);
	most = desk->waiting;
	while (most-- > 0 && (ticket = take_first(desk))) {
		int err;

		pthread_mutex_unlock(&desk->lock);
		if (ticket->is_status)
			err = source->status(source->arg, &ticket->status);
		else
			err = source->snapshot(source->arg, ticket->kind, ticket->pid, &ticket->set,
					       ticket->reason);
		pthread_mutex_lock(&desk->lock);
		answer(desk, ticket, err);
	}
	pthread_mutex_unlock(&desk->lock);
}

void desk_close(struct desk *desk)
{
	struct ticket *ticket;

	pthread_mutex_lock(&desk->lock);
	desk->is_closed = true;
	while ((ticket = take_first(desk)))
		answer(desk, ticket, -ESHUTDOWN);
	pthread_mutex_unlock(&desk->lock);
}

static int ask(struct desk *desk, struct ticket *ticket)
{
	pthread_mutex_lock(&desk->lock);
	if (desk->is_closed) {
		pthread_mutex_unlock(&desk->lock);
		return -ESHUTDOWN;
	}
	*desk->end = ticket;
	desk->end = &ticket->next;
	desk->waiting++;
	/* Fails only where the counter is at its maximum, and then it is readable anyway. */
	eventfd_write(desk->fd, 1);
	while (!ticket->is_answered)
		pthread_cond_wait(&desk->answered, &desk->lock);
	pthread_mutex_unlock(&desk->lock);
	return ticket->err;
}

int desk_snapshot(struct desk *desk, enum kind kind, pid_t pid, struct snapshot_set **out,
		  char reason[DESK_REASON_BYTES])
{
	struct ticket ticket = { .kind = kind, .pid = pid };
	int err = ask(desk, &ticket);

	memcpy(reason, ticket.reason, DESK_REASON_BYTES);
	reason[DESK_REASON_BYTES - 1] = '\0';
	if (!err)
		*out = ticket.set;
	return err;
}

int desk_status(struct desk *desk, struct status **out)
{
	struct ticket ticket = { .is_status = true };
	int err = ask(desk, &ticket);

	if (!err)
		*out = ticket.status;
	return err;
}
