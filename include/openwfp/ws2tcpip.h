/* The basics of <ws2tcpip.h>. */
#ifndef OPENWFP_WS2TCPIP_H
#define OPENWFP_WS2TCPIP_H

#include <netdb.h>

#include "winsock2.h"

#endif
