/* A worker that finds no server ends at once. */
create subscription s connection 'host=/nowhere' publication p with (connect = false);
alter subscription s enable;
