/* An exchange of SPIs over UDP port 500, in place of IKE. */
#ifndef WIRE_H
#define WIRE_H

enum { WIRE_NOTHING, WIRE_SPI, WIRE_END };

/* Opens the socket between two hosts; -1: failed. */
int wire_open(const char *local, const char *remote);

void wire_send(int wire, unsigned spi);

/* Waits for an SPI, for the end of the standard input, or until the time is over. */
int wire_receive(int wire, int milliseconds, unsigned *spi);

#endif
