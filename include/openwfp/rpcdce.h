/* See <rpc.h>. */
#ifndef OPENWFP_RPCDCE_H
#define OPENWFP_RPCDCE_H

#include "rpc.h"

#endif
