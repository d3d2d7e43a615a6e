/* SPDX-License-Identifier: MIT */
/* The 8254 interval timer. */
#include "emu/device/pit.h"

static bool periodic(const struct pit_channel *channel)
{
    return channel->mode == 2 || channel->mode == 3;
}

/* PIT ticks in `nanoseconds`, and the first nanosecond at which `ticks` have passed; both exact, without overflow for
 * the first 500 years. */
static uint64_t ticks_in(uint64_t nanoseconds)
{
    return (uint64_t)((unsigned __int128)nanoseconds * PIT_FREQUENCY / 1000000000u);
}

static uint64_t time_of(uint64_t ticks)
{
    return (uint64_t)(((unsigned __int128)ticks * 1000000000u + PIT_FREQUENCY - 1) / PIT_FREQUENCY);
}

static uint64_t elapsed(const struct pit_channel *channel, uint64_t now)
{
    return channel->counting && now > channel->start ? ticks_in(now - channel->start) : 0;
}

static uint16_t count(const struct pit_channel *channel, uint64_t now)
{
    uint64_t ticks = elapsed(channel, now);

    if (!channel->reload)
        return 0;
    if (periodic(channel))
        return (uint16_t)(channel->reload - ticks % channel->reload);
    return (uint16_t)(channel->reload - ticks);
}

static bool output(const struct pit_channel *channel, uint64_t now)
{
    uint64_t ticks = elapsed(channel, now);

    if (!channel->reload)
        return channel->mode != 0;
    if (channel->mode == 3)
        return ticks % channel->reload < (channel->reload + 1) / 2;
    return periodic(channel) ? ticks % channel->reload != channel->reload - 1 : ticks >= channel->reload;
}

static void begin(struct pit_channel *channel, uint32_t value, uint64_t now)
{
    channel->reload = value ? value : 0x10000;
    channel->counting = true;
    channel->start = channel->fired = now;
}

static void write_channel(struct pit *pit, unsigned number, uint8_t value, uint64_t now)
{
    struct pit_channel *channel = &pit->channel[number];

    if (channel->access == 3 && !channel->high_next_write) {
        channel->low = value;
        channel->high_next_write = true;
        return;
    }
    channel->high_next_write = false;
    begin(channel, channel->access == 1 ? value : channel->access == 2 ? (uint32_t)value << 8
                   : (uint32_t)value << 8 | channel->low, now);
    if (number == 2)
        channel->counting = pit->gate & 1;
}

static void latch_status(struct pit_channel *channel, uint64_t now)
{
    channel->status = (uint8_t)(output(channel, now) << 7 | (!channel->reload) << 6 | channel->access << 4 |
                                channel->mode << 1);
    channel->status_latched = true;
}

static void latch_count(struct pit_channel *channel, uint64_t now)
{
    if (channel->latched)
        return;
    channel->latch = count(channel, now);
    channel->latched = true;
}

static void write_control(struct pit *pit, uint8_t value, uint64_t now)
{
    unsigned number = value >> 6, access = value >> 4 & 3;

    if (number == 3) {                          /* read-back: active-low selections */
        for (unsigned i = 0; i < PIT_CHANNELS; i++) {
            if (!(value & 2u << i))
                continue;
            if (!(value & 0x20))
                latch_count(&pit->channel[i], now);
            if (!(value & 0x10))
                latch_status(&pit->channel[i], now);
        }
        return;
    }
    struct pit_channel *channel = &pit->channel[number];
    if (access == 0) {
        latch_count(channel, now);
        return;
    }
    *channel = (struct pit_channel){ .access = (uint8_t)access, .mode = value >> 1 & 7 };
    if (channel->mode > 5)
        channel->mode -= 4;                     /* 6 and 7 are 2 and 3 */
}

void pit_write(struct pit *pit, uint16_t port, uint8_t value, uint64_t now)
{
    unsigned number = port & 3;

    if (number == 3)
        write_control(pit, value, now);
    else
        write_channel(pit, number, value, now);
}

uint8_t pit_read(struct pit *pit, uint16_t port, uint64_t now)
{
    unsigned number = port & 3;
    struct pit_channel *channel = &pit->channel[number < PIT_CHANNELS ? number : 0];

    if (number == 3)
        return 0xff;
    if (channel->status_latched) {
        channel->status_latched = false;
        return channel->status;
    }
    uint16_t value = channel->latched ? channel->latch : count(channel, now);
    bool high = channel->access == 2 || (channel->access == 3 && channel->high_next_read);
    if (channel->access == 3)
        channel->high_next_read = !channel->high_next_read;
    if (channel->access != 3 || high)
        channel->latched = false;
    return (uint8_t)(high ? value >> 8 : value);
}

uint8_t pit_gate_read(const struct pit *pit, uint64_t now)
{
    /* Bit 4 toggles with each memory refresh, every 15 microseconds. */
    return (uint8_t)(pit->gate | (now / 15000 & 1) << 4 | output(&pit->channel[2], now) << 5);
}

void pit_gate_write(struct pit *pit, uint8_t value, uint64_t now)
{
    struct pit_channel *channel = &pit->channel[2];

    if ((value & 1) && !(pit->gate & 1) && channel->reload)
        begin(channel, channel->reload, now);
    if (!(value & 1))
        channel->counting = false;
    pit->gate = value & 3;
}

uint64_t pit_next(const struct pit *pit)
{
    const struct pit_channel *channel = &pit->channel[0];

    if (!channel->counting || !channel->reload || channel->mode == 1 || channel->mode == 5)
        return UINT64_MAX;
    if (!periodic(channel)) {
        uint64_t end = channel->start + time_of(channel->reload);
        return channel->fired < end ? end : UINT64_MAX;
    }
    uint64_t periods = ticks_in(channel->fired - channel->start) / channel->reload + 1;
    return channel->start + time_of(periods * channel->reload);
}

bool pit_advance(struct pit *pit, uint64_t now)
{
    if (pit_next(pit) > now)
        return false;
    pit->channel[0].fired = now;
    return true;
}
