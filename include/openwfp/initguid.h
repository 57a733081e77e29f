/* Include this before the headers that declare GUIDs, to define the GUIDs in place. */
#ifndef INITGUID
#define INITGUID
#endif
#include "guiddef.h"
