/* SPDX-License-Identifier: MIT */
#include "exporter/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/tap.h"

static char folder[] = "/tmp/promshim-file-XXXXXX";
static char path[64];
static int watch;

/* Names that were made or moved in the folder since the last call, each with a blank behind. */
static const char *seen(void) {
	static char names[512];
	_Alignas(struct inotify_event) char events[4096];
	ssize_t length = read(watch, events, sizeof(events));
	names[0] = '\0';
	for (ssize_t at = 0; at < length;) {
		const struct inotify_event *event = (const void *)(events + at);
		strncat(names, event->name, sizeof(names) - strlen(names) - 2);
		strcat(names, " ");
		at += (ssize_t)(sizeof(*event) + event->len);
	}
	return names;
}

static const char *content(void) {
	static char text[64];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length > 0 ? length : 0] = '\0';
	return text;
}

int main(void) {
	char expected[128];
	struct stat status;

	ok(mkdtemp(folder) != NULL, "a folder");
	(void)snprintf(path, sizeof(path), "%s/port", folder);
	watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	ok(inotify_add_watch(watch, folder, IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO) >= 0,
			"is watched");
	umask(022);

	is(prom_file_write(path, "1234\n", 5), 0, "a new file is written");
	is_text(seen(), "port ", "and no other name was ever there");
	is_text(content(), "1234\n", "it is whole");
	is(stat(path, &status) == 0 ? status.st_mode & 0777 : 0, 0644, "for all to read");

	is(prom_file_write(path, "5\n", 2), 0, "it is written again");
	is_text(content(), "5\n", "and replaced");
	(void)snprintf(expected, sizeof(expected), "port.%d.tmp port.%d.tmp port ",
			(int)getpid(), (int)getpid());
	is_text(seen(), expected, "by a rename");

	is(chdir(folder), 0, "from inside the folder");
	is(unlink(path), 0, "and with no file there");
	is(prom_file_write("port", "6\n", 2), 0, "a name without a folder is written");
	is_text(content(), "6\n", "here");
	is_text(seen(), "port ", "by its name alone");

	is(mkfifo("fifo", 0600), 0, "a FIFO, and a link to it");
	is(symlink("fifo", "link"), 0, "like those of /dev");
	is(prom_file_write("fifo", "7\n", 2), -EINVAL, "is not replaced");
	is(prom_file_write("link", "7\n", 2), -EINVAL, "by neither name");
	is(prom_file_write(".", "7\n", 2), -EINVAL, "nor is a folder");
	(void)unlink("fifo");
	(void)unlink("link");
	is(prom_file_write("no/port", "7\n", 2), -ENOENT,
			"a folder that is not there is told");
	(void)unlink(path);
	(void)rmdir(folder);
	return tap_done();
}
