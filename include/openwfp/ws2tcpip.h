/* The parts of <ws2tcpip.h> that the API needs. */
#ifndef OPENWFP_WS2TCPIP_H
#define OPENWFP_WS2TCPIP_H

#include <netdb.h>

#include "winsock2.h"

#endif
