/* A library that reads the file named by TARGET in whatever program loads it, and ends that program. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

unsigned la_version(unsigned version) { return version; }

__attribute__((constructor)) static void act(void)
{
    char text[64], path[4096];

    if (!getenv("TARGET"))
        return;
    strncpy(path, getenv("TARGET"), sizeof path - 1);
    if (getenv("WIPE"))
        for (char **variable = environ; *variable; variable++)
            memset(*variable, 0, strlen(*variable));
    int file = open(path, O_RDONLY);
    if (file < 0)
        _exit(errno);
    ssize_t length = read(file, text, sizeof text);
    _exit(length < 0 ? errno : write(1, text, length) != length);
}
