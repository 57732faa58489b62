alter statistics s set statistics 500;
