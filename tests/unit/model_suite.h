/*
 * The world of a suite of the model's tests, with the command in it: begun before each test, ended after it.
 */
#ifndef LEFTOPEN_TESTS_MODEL_SUITE_H
#define LEFTOPEN_TESTS_MODEL_SUITE_H

#include "model_events.h"

static struct world world;
static struct actor command;

static void setup(void)
{
	world_begin(&world);
	command = world_command(&world);
}

static void teardown(void)
{
	world_end(&world);
}

#endif
