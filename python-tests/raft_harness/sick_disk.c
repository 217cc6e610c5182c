/* A disk that can be made sick while a node runs on it: preloaded into the node, it looks at the word in the file
 * that SICK_DISK names before each flush and each write.
 *
 *   hang  flushes do not return until the word is gone
 *   eio   flushes fail
 *   full  a file that is being made takes nothing
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int is_told(const char *word) {
    const char *control = getenv("SICK_DISK");
    char text[16] = "";
    int fd = control ? open(control, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return 0;
    }
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    return length > 0 && strncmp(text, word, strlen(word)) == 0;
}

/* The recording is written to the same directory; it is not what is tested here. */
static int is_of_the_log(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) {
        return 0;
    }
    path[length] = 0;
    return strstr(path, "raft-data") && !strstr(path, "/recording");
}

static int flush(int fd, const char *name) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (is_of_the_log(fd)) {
        while (is_told("hang")) {
            usleep(1000);
        }
        if (is_told("eio")) {
            errno = EIO;
            return -1;
        }
    }
    return real(fd);
}

int fdatasync(int fd) { return flush(fd, "fdatasync"); }

int fsync(int fd) { return flush(fd, "fsync"); }
