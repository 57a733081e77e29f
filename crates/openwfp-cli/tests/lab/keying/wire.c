/* The datagrams of the keying client: a file of its own, because Windows' names of sockets are not those of POSIX. */
#include "wire.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in at(const char *address)
{
    struct sockaddr_in name;
    memset(&name, 0, sizeof name);
    name.sin_family = AF_INET;
    name.sin_port = htons(500);
    inet_pton(AF_INET, address, &name.sin_addr);
    return name;
}

int wire_open(const char *local, const char *remote)
{
    struct sockaddr_in ours = at(local), theirs = at(remote);
    int wire = socket(AF_INET, SOCK_DGRAM, 0);
    if (wire < 0 || bind(wire, (struct sockaddr *)&ours, sizeof ours) != 0 ||
        connect(wire, (struct sockaddr *)&theirs, sizeof theirs) != 0)
        return -1;
    return wire;
}

void wire_send(int wire, unsigned spi)
{
    uint32_t message = htonl(spi);
    /* Whoever waits for it asks again. */
    if (send(wire, &message, sizeof message, 0) < 0)
        return;
}

int wire_receive(int wire, int milliseconds, unsigned *spi)
{
    struct pollfd polled[2] = {{wire, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    uint32_t message;
    poll(polled, 2, milliseconds);
    if (polled[1].revents != 0)
        return WIRE_END;
    if (polled[0].revents == 0 || recv(wire, &message, sizeof message, 0) != sizeof message)
        return WIRE_NOTHING;
    *spi = ntohl(message);
    return WIRE_SPI;
}
