/*
 * For programs that run in samara: a program that is started by
 *
 *     samara run --snapshot OUT ./prog
 *
 * says by samara_ready() that this is where it is to be frozen. It returns in the program itself
 * and in every machine that is grown from OUT, and says in which.
 *
 * Copy this file, or include it; it needs nothing else. From other languages: open a vsock stream
 * to CID 2, port SAMARA_READY_PORT; send "ready\n"; what comes back is "done\n" when the snapshot
 * has been taken, "failed\n" when it has not, and the end of the stream, or a reset, in a clone.
 */
#ifndef SAMARA_SDK_H
#define SAMARA_SDK_H

#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SAMARA_READY_PORT 0xf0000010u

enum samara_ready {
    SAMARA_NOBODY = -1, /* nobody takes a snapshot here: no samara, or no --snapshot */
    SAMARA_SOURCE = 0,  /* it has been taken; this is the machine that it was taken of */
    SAMARA_CLONE = 1,   /* this machine was grown from it */
    SAMARA_FAILED = 2,  /* it could not be taken; samara has said why */
};

static inline enum samara_ready samara_ready(void)
{
    const struct sockaddr_vm host = {
        .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = SAMARA_READY_PORT};
    static const char ready[] = "ready\n";
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    char answer = 0;
    ssize_t n;

    if (fd < 0)
        return SAMARA_NOBODY;
    if (connect(fd, (const struct sockaddr *)&host, sizeof(host)) != 0 ||
        write(fd, ready, sizeof(ready) - 1) != (ssize_t)(sizeof(ready) - 1)) {
        close(fd);
        return SAMARA_NOBODY;
    }
    n = read(fd, &answer, 1);
    close(fd);
    if (n != 1)
        return SAMARA_CLONE;
    return answer == 'd' ? SAMARA_SOURCE : SAMARA_FAILED;
}

#endif
