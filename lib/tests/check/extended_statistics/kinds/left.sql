create statistics s (ndistinct) on a, b from t;
