alter statistics s set statistics 0;
