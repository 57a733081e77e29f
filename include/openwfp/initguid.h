/* Included before the headers that declare GUIDs, it has them defined in place. */
#ifndef INITGUID
#define INITGUID
#endif
#include "guiddef.h"
