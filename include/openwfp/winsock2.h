/* The parts of <winsock2.h> that the API needs: the system's sockets under the names that Windows code uses. */
#ifndef OPENWFP_WINSOCK2_H
#define OPENWFP_WINSOCK2_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "windows.h"

typedef int SOCKET;
typedef struct sockaddr SOCKADDR, *PSOCKADDR;
typedef struct sockaddr_in SOCKADDR_IN, *PSOCKADDR_IN;
typedef struct sockaddr_in6 SOCKADDR_IN6, *PSOCKADDR_IN6;
typedef struct sockaddr_storage SOCKADDR_STORAGE, *PSOCKADDR_STORAGE;
typedef struct in_addr IN_ADDR, *PIN_ADDR;
typedef struct in6_addr IN6_ADDR, *PIN6_ADDR;

#define INVALID_SOCKET (-1)
#define SOCKET_ERROR (-1)

typedef struct WSAData {
    WORD wVersion;
    WORD wHighVersion;
} WSADATA, *LPWSADATA;

/* Sockets need no initialization here. */
static inline int WSAStartup(WORD wanted, WSADATA *data)
{
    data->wVersion = wanted;
    data->wHighVersion = wanted;
    return 0;
}

static inline int WSACleanup(void)
{
    return 0;
}

#endif
