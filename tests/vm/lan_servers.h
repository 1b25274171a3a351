/* What a network has for its guests: each of these serves tap7 (lan.h) until the test ends. */
#ifndef TESTS_VM_LAN_SERVERS_H
#define TESTS_VM_LAN_SERVERS_H

#define LAN_NAME "host.test" /* of the host, with LAN_HOST4 and LAN_HOST6 */

/* DNS over UDP at LAN_HOST4 and LAN_HOST6: knows LAN_NAME and nobody else. */
void lan_name_server(void);

/* Answers router solicitations (RFC 4861): fd77::/64, and itself (LAN_HOST6) as a name server (RFC
 * 8106). */
void lan_router(void);

/* busybox udhcpd. It has one address to give; looks for delay_ms whether somebody has it, first. */
#define LAN_LEASE4 "10.77.0.20"
void lan_dhcp_server(unsigned delay_ms);

/* busybox httpd at port 8000, with files from a folder. */
void lan_web_server(const char *folder);

#endif
